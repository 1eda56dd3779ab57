"""The HTML of the list of conversations in the sidebar."""

from __future__ import annotations

from collections.abc import Sequence

from ui.formulas import text_to_html
from unirag.schemas import ConversationSummary

__all__ = ["history_list"]


def history_list(conversations: Sequence[ConversationSummary], current_id: str) -> str:
    """Return the list of conversations, in the given order, with the current one marked."""
    if not conversations:
        return '<p class="quiet">Your questions will appear here.</p>'
    rows = "".join(_history_row(c, is_current=c.id == current_id) for c in conversations)
    return f'<ul class="history">{rows}</ul>'


def _history_row(conversation: ConversationSummary, *, is_current: bool) -> str:
    return (
        f"<li{' aria-current=true' if is_current else ''}>"
        f'<button type="button" class="open" data-conversation="{conversation.id}">'
        f"{text_to_html(conversation.title) or 'A picture'}</button>"
        f'<a href="v1/conversations/{conversation.id}/markdown" download="conversation.md" '
        f'aria-label="Download as Markdown" title="Download as Markdown">↓</a>'
        f'<button type="button" class="delete" data-delete="{conversation.id}" '
        f'aria-label="Delete this conversation" title="Delete">×</button></li>'
    )

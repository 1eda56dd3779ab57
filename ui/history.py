"""The HTML of the list of conversations in the sidebar."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ui.formulas import text_to_html
from unirag.schemas import ConversationSummary

__all__ = ["history_list"]


def history_list(
    conversations: Sequence[ConversationSummary],
    current_id: str,
    *,
    is_search: bool = False,
    deleted_id: str = "",
) -> str:
    """Return the list of conversations, in the given order, with the current one marked.

    The conversation `deleted_id` was just deleted: a button brings it back.
    """
    undo = _undo(deleted_id) if deleted_id else ""
    if not conversations:
        text = "No conversation has these words." if is_search else "Your questions appear here."
        return f'{undo}<p class="quiet">{text}</p>'
    rows = "".join(_history_row(c, is_current=c.id == current_id) for c in conversations)
    return f'{undo}<ul class="history">{rows}</ul>'


def _undo(deleted_id: str) -> str:
    return (
        '<p class="undo" role="status">Deleted. <button type="button" data-event="undo" '
        f'data-restore="{escape(deleted_id)}">Undo</button></p>'
    )


def _history_row(conversation: ConversationSummary, *, is_current: bool) -> str:
    hint = escape(conversation.title)
    title = text_to_html(conversation.title) or "A picture"
    return (
        f"<li{' aria-current=true' if is_current else ''}>"
        f'<button type="button" class="open" data-event="select" '
        f'title="{hint}" data-conversation="{conversation.id}">{title}</button>'
        f'<button type="button" data-rename="{conversation.id}" aria-label="Rename" title="Rename">'
        f"✎</button>"
        f'<a href="v1/conversations/{conversation.id}/markdown" download '
        f'aria-label="Download" title="Download">↓</a>'
        f'<button type="button" class="delete" data-event="delete" '
        f'data-delete="{conversation.id}" aria-label="Delete" title="Delete">×</button></li>'
    )

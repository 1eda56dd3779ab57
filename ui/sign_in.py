"""The sign-in page of a service with keys. A valid key is exchanged for a cookie."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from ui.page_headers import set_cookie
from unirag.api.access import COOKIE, SESSION_SECONDS
from unirag.api.errors import Unauthorized
from unirag.api.service import CurrentService

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sign in · unirag</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1.05rem/1.6 system-ui, sans-serif; display: grid; place-items: center;
  min-height: 100vh; margin: 0; background: light-dark(#f6f4ee, #14181d);
  color: light-dark(#1d2430, #e7e9ec); }}
form {{ display: grid; gap: .8rem; width: min(24rem, 90vw); padding: 2rem; border-radius: .9rem;
  background: light-dark(#fff, #1c2229); border: 1px solid light-dark(#dcd8cc, #343c46); }}
h1 {{ font: 700 1.5rem Charter, Cambria, Georgia, serif; margin: 0; }}
p {{ margin: 0; }} label {{ display: grid; gap: .3rem; font-weight: 600; }}
input, button {{ font: inherit; padding: .6rem .8rem; border-radius: .5rem;
  border: 1px solid light-dark(#8a8f98, #5a6472); background: transparent; color: inherit; }}
button {{ background: light-dark(#1b5e8c, #8cc3ea); color: light-dark(#fff, #10202d); border: 0;
  font-weight: 600; cursor: pointer; }}
:focus-visible {{ outline: 3px solid light-dark(#1b5e8c, #8cc3ea); outline-offset: 2px; }}
.error {{ color: light-dark(#a3271f, #ff9d94); }}
</style></head><body><form method="post" action="sign-in"><h1>unirag</h1>
<p>Ask your textbooks. Your school gave you a key.</p>
<label>Key <input name="key" type="password" autocomplete="current-password" required autofocus>
</label>{error}<button>Sign in</button></form></body></html>"""


@router.get("/sign-in")
def sign_in_page() -> HTMLResponse:
    """Return the form that asks for a key."""
    return HTMLResponse(_TEMPLATE.format(error=""))


@router.post("/sign-in", response_model=None)
def sign_in(
    request: Request, service: CurrentService, key: Annotated[str, Form(max_length=1000)]
) -> HTMLResponse | RedirectResponse:
    """Set the cookie and go to the page; show the form again if the key is unknown."""
    try:
        session = service.access.session(key.strip())
    except Unauthorized:
        error = '<p class="error" role="alert">This key is unknown. Check it and try again.</p>'
        return HTMLResponse(_TEMPLATE.format(error=error), 401)
    response = RedirectResponse("./", 303)
    is_framed = bool(service.settings.frame_ancestors)
    set_cookie(response, request, COOKIE, session, SESSION_SECONDS, is_framed=is_framed)
    return response


@router.post("/sign-out")
def sign_out(request: Request, service: CurrentService) -> RedirectResponse:
    """Delete the cookie and go to the sign-in page."""
    response = RedirectResponse("sign-in", 303)
    is_framed = bool(service.settings.frame_ancestors)
    set_cookie(response, request, COOKIE, "", 0, is_framed=is_framed)
    return response

"""What every page is sent with, and what every change must come with."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request

#: No script, style, picture or connection from anywhere else, and none inside the page.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
}
#: What a user stored is shown as text, whatever it is: a page that runs nothing.
RAW_HEADERS = HEADERS | {"content-security-policy": "default-src 'none'; sandbox"}


def is_encrypted(request: Request) -> bool:
    """True when the browser came by HTTPS, to us or to a proxy before us. Who makes it up keeps their cookie away from
    plain HTTP, and nothing else follows from it."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").partition(",")[0].strip())


def is_same_origin(request: Request) -> bool:
    """True when the request comes from one of our own pages, by what browsers say and pages cannot forge."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return False
    return urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower() != ""

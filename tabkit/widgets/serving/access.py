"""Who is let in: this server's own pages, and from other machines who has the token."""

from hmac import compare_digest
from ipaddress import ip_address
from typing import Any

from jupyter_client.localinterfaces import local_ips, public_ips
from jupyter_server.auth.identity import User
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher
from tornado.web import HTTPError, RequestHandler
from voila.voila_identity_provider import VoilaIdentityProvider

ELSEWHERE = "Another site asked for this page. Type its address into the browser yourself."
ASKED = (
    "This page needs a token: take the whole address that was printed where the app was started."
)


class Token(VoilaIdentityProvider):
    """Who brings the token of the printed address is known by a cookie from then on.

    Without a token everybody is let in.
    """

    login_available = logout_available = False

    def get_token(self, handler: Any) -> str | None:
        """The token if it is the right one; found in the same time for every wrong one."""
        given = super().get_token(handler) or ""
        return self.token if compare_digest(given.encode(), self.token.encode()) else None

    async def get_user(self, handler: Any) -> User:
        """Raises HTTPError in place of showing a form for a password."""
        user = await super().get_user(handler)
        if user is None:
            handler.current_user = None  # asked for by the page that says so
            raise HTTPError(403, ASKED)
        return user


class Foreign(Matcher):
    """Matches what comes by a name that is not the server's, or from a page of another site.

    That may want something as its image, frame or socket; a link leads here. Over plain http a
    browser does not tell another machine's server what it wants it as (no ``Sec-Fetch-*``): there
    the page that it comes from must be our own, or it brings the token.
    """

    def __init__(self, hosts: set[str], token: str) -> None:
        self.hosts, self.token = hosts, token.encode()

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        here, asked = f"{request.protocol}://{request.host}", request.headers
        if "Sec-Fetch-Site" in asked:
            linked = (asked.get("Sec-Fetch-Mode"), asked.get("Sec-Fetch-Dest"))
            own = asked["Sec-Fetch-Site"] in {"none", "same-origin"}
            welcome = own or linked == ("navigate", "document")
        else:
            (brought,) = request.query_arguments.get("token", [b""])[:1]
            welcome = f"{asked.get('Referer', here)}/".startswith(f"{here}/")
            welcome |= bool(self.token) and compare_digest(brought, self.token)
        same = request.host_name in self.hosts and asked.get("Origin", here) == here
        return None if welcome and same else {}


class Refused(RequestHandler):
    """Whatever is asked for."""

    def prepare(self) -> None:
        self.set_status(403)
        self.finish(ELSEWHERE)


def reached(ip: str) -> list[str]:
    """The addresses of this machine at which a server that listens there is reached."""
    every = [found for found in dict.fromkeys([*public_ips(), *local_ips()]) if found.strip("0.")]
    found = every if ip_address(ip).is_unspecified else [ip]
    return [f"[{each}]" if ":" in each else each for each in found]


def hosts_of(ip: str) -> set[str]:
    """What a request may call the server."""
    return {"localhost", *reached(ip)}


def addresses(ip: str, port: int, token: str) -> list[str]:
    """What to type into a browser."""
    asked = f"/?token={token}" if token else ""
    return [f"http://{host}:{port}{asked}" for host in reached(ip)]

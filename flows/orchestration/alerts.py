"""Alerts to webhook, e-mail or chat by Apprise: one message for each place, grouped by owner."""

import logging
from collections.abc import Iterable, Mapping
from typing import Literal
from urllib.parse import urlsplit

from flows.config.settings import alert_urls
from flows.core.redaction import scrub
from flows.lake.incidents import Incident, Key

logger = logging.getLogger(__name__)

Event = Literal["opened", "resolved"]
NO_OWNER = "no owner"


def send_alerts(
    connection_set: str, incidents: Iterable[Incident], event: Event, since: Mapping[Key, str]
) -> list[Incident]:
    """Notify the owners of incidents that have begun, or are over; return those of which an owner was notified.

    An owner without a place is not notified. A place that cannot be reached is logged by its host. The next run
    tries again.
    """
    by_place: dict[tuple[str, ...], list[Incident]] = {}
    for one in incidents:
        if urls := alert_urls(one.owner):
            by_place.setdefault(urls, []).append(one)
    notified = []
    for urls, found in by_place.items():
        title, body = compose(connection_set, found, event, since)
        if send(urls, title, body, "success" if event == "resolved" else _kind(found)):
            notified += found
    return notified


def compose(connection_set: str, incidents: list[Incident], event: Event, since: Mapping[Key, str]) -> tuple[str, str]:
    """Return title and text of an alert: what was found, by owner and table, and the next command."""
    count = f"{len(incidents)} incident{'' if len(incidents) == 1 else 's'}"
    lines: list[str] = []
    for owner in sorted({one.owner for one in incidents}):
        lines += ["", f"{owner or NO_OWNER}:"]
        for one in sorted((one for one in incidents if one.owner == owner), key=lambda one: one.key):
            head = f"{one.table or 'the set'}, {one.kind}"
            if event == "resolved":
                lines.append(f"- {head}: resolved; it was open since {since.get(one.key, '')} UTC")
            else:
                lines += [f"- {head} ({one.severity}): {one.text}", f"  next: {one.remedy}"]
    return f"{connection_set}: {count} {event}", scrub("\n".join(lines).strip())


def send(urls: Iterable[str], title: str, body: str, kind: str) -> bool:
    """Send a message to several places; tell whether one of them took it. Nothing is raised."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # its own lines may hold a whole URL
    taken = {url: _send_to(url, title, body, kind) for url in urls}
    is_taken = any(taken.values())
    for url in (url for url, is_there in taken.items() if not is_there):
        what_next = "another place of its owner has it" if is_taken else "the next run tries again"
        logger.warning("an alert was not taken by %s; %s", _host(url), what_next)
    return is_taken


def _send_to(url: str, title: str, body: str, kind: str) -> bool:
    """Send a message to one place; tell whether it took it."""
    from apprise import Apprise, NotifyFormat, OverflowMode

    place = Apprise()
    try:
        if not place.add(url):
            return False
        for service in place if "overflow=" not in url else ():  # a long message would be refused by most chats
            service.overflow_mode = OverflowMode.SPLIT
        return bool(place.notify(body=body, title=title, notify_type=kind, body_format=NotifyFormat.TEXT))
    except Exception:  # noqa: BLE001 - whatever a place answers, the run is worth more than its alert
        return False


def _kind(incidents: Iterable[Incident]) -> str:
    return "failure" if any(one.severity == "error" for one in incidents) else "warning"


def _host(url: str) -> str:
    """Return the scheme and host of a URL, without anything that may be a secret."""
    try:
        parts = urlsplit(url)
        # for most services of chat, the place of the host holds a token
        host = parts.hostname if parts.scheme in HOSTED else None
    except ValueError:
        return "a URL that cannot be read"
    return f"{parts.scheme}://{host}" if host else f"{parts.scheme}://…" if parts.scheme else "a URL without a scheme"


HOSTED = ("json", "jsons", "form", "forms", "xml", "xmls", "mailto", "mailtos", "ntfy", "ntfys", "matrix", "matrixs")
"""Schemes of Apprise whose URLs begin with a host; the others may begin with a token."""

"""Who looks at the page: sessions, passwords, one-time codes, and how often a password may be tried.

On loopback everybody at the box may look, and says in whose name an act is recorded. Beyond it a contact logs in; the
password was set with a one-time code that only root can read (`firegrid page-code`). Sessions are cookies signed with a
key that never leaves the store; passwords are kept as salted scrypt (RFC 7914). Pure but for the code's file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
from collections import OrderedDict
from pathlib import Path

import msgspec

from gateway.clock import MINUTE, SECOND
from gateway.model.ports import Memory

LEAST_PASSWORD = 10
MOST_PASSWORD = 200
SESSION = 7 * 24 * 60 * MINUTE
FAILURES = 5  # wrong passwords a minute, by address
FAILURES_OF_ALL = 30
_ADDRESSES = 1_000  # remembered at once
_N, _R, _P = 1 << 14, 8, 1  # scrypt: 16 MiB and some 60 ms
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is mistaken for another letter
_CODE = 10


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What a cookie says. `who`: contact, chosen or logged in; `stamp`: of the password it was logged in with."""

    id: str
    who: str = ""
    until: int = 0  # ns since 1970 by the page's clock; 0: loopback, does not end
    stamp: str = ""


class Keeper:
    """Signs and reads sessions, keeps and checks passwords."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        if not memory.get("key"):
            memory.put("key", secrets.token_hex(32))
        self._key = bytes.fromhex(memory.get("key") or "")

    # -- sessions

    def sign(self, session: Session) -> str:
        """Return a session as a cookie."""
        body = base64.urlsafe_b64encode(msgspec.json.encode(session)).decode()
        return f"{body}.{self._mac('session', body)}"

    def read(self, cookie: str, now: int) -> Session | None:
        """Return a session that we have signed, that has not ended, and whose password still is the same."""
        body, _, mac = cookie.partition(".")
        if not hmac.compare_digest(mac.encode(), self._mac("session", body).encode()):
            return None
        try:
            session = msgspec.json.decode(base64.urlsafe_b64decode(body), type=Session)
        except (msgspec.MsgspecError, binascii.Error, ValueError):
            return None
        if session.until and (session.until < now or session.stamp != self.stamp(session.who)):
            return None
        return session

    def begin(self, who: str = "", *, until: int = 0) -> Session:
        """Return a new session."""
        return Session(id=secrets.token_hex(16), who=who, until=until, stamp=self.stamp(who) if until else "")

    def token(self, session: Session) -> str:
        """Return what a form of this session must carry, so that no other site's form can act."""
        return self._mac("form", session.id)

    def fits(self, session: Session, token: str) -> bool:
        """Whether a form was made for this session."""
        return hmac.compare_digest(token.encode(), self.token(session).encode())

    def _mac(self, use: str, body: str) -> str:
        return hmac.new(self._key, f"{use} {body}".encode(), hashlib.sha256).hexdigest()

    # -- passwords

    def stamp(self, who: str) -> str:
        """Return something that changes with a contact's password; empty without one."""
        kept = self._memory.get(f"password {who}")
        return self._mac("stamp", kept)[:16] if kept else ""

    def set_password(self, who: str, password: str) -> None:
        """Keep a password. Slow on purpose: not for the loop's thread."""
        salt = secrets.token_bytes(16)
        self._memory.put(f"password {who}", f"{salt.hex()}:{_scrypt(password, salt).hex()}")

    def right(self, kept: str, password: str) -> bool:
        """Whether this is the password; takes as long for somebody who has none. Not for the loop's thread."""
        salt, _, digest = (kept or f"{'00' * 16}:{'00' * 32}").partition(":")
        return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)), bytes.fromhex(digest)) and bool(kept)

    def kept(self, who: str) -> str:
        """Return a contact's password as it is kept; empty without one."""
        return self._memory.get(f"password {who}") or ""


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, dklen=32)


class Tries:
    """Counts wrong passwords and codes, by address and in all; forgets them after a minute."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, tuple[int, int]] = OrderedDict()  # address → (count, begin of its minute)

    def allowed(self, address: str, now: int) -> bool:
        """Whether one more may be tried (`now`: ns, monotonic)."""
        return self._count(address, now) < FAILURES and self._count("", now) < FAILURES_OF_ALL

    def failed(self, address: str, now: int) -> None:
        """Note a wrong one."""
        for key in (address, ""):
            count = self._count(key, now)
            self._failed[key] = (count + 1, self._failed[key][1] if count else now)
            self._failed.move_to_end(key)
        while len(self._failed) > _ADDRESSES:
            self._failed.popitem(last=False)

    def _count(self, key: str, now: int) -> int:
        count, since = self._failed.get(key, (0, 0))
        return count if now - since < 60 * SECOND else 0


def code_file(store: str) -> Path:
    """Return where the one-time code lies: beside the store, readable by its owner only."""
    return Path(f"{store}.page-code")


def new_code(path: Path) -> str:
    """Make a one-time code and write it down, for the owner of the folder: root makes it, the daemon reads it.

    Raises OSError.
    """
    code = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE))
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(code + "\n")
        if os.geteuid() == 0:
            folder = path.parent.stat()
            os.fchown(file.fileno(), folder.st_uid, folder.st_gid)
    return code


def known_code(path: Path) -> str:
    """Return the code that is good now; empty when there is none or others could have written or read it."""
    try:
        facts = path.lstat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return ""
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def use_code(path: Path, given: str) -> bool:
    """Whether the code is right; then it is used up."""
    known = known_code(path)
    if not known or not hmac.compare_digest(known.encode(), given.strip().lower().encode()):
        return False
    path.unlink(missing_ok=True)
    return True

"""Password hashes for htpasswd files."""

import ctypes
import ctypes.util


def bcrypt(password: str) -> str:
    """Hash a password as htpasswd files want it, with the C library that Linux logins use."""
    library = ctypes.CDLL(ctypes.util.find_library("crypt") or "libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    hashed: bytes | None = library.crypt(password.encode(), b"$2b$04$abcdefghijklmnopqrstuu")
    if hashed is None:
        raise RuntimeError("this machine's libcrypt knows no bcrypt")
    return hashed.decode()

"""The key under which one photo is sealed: agreed, unwrapped or shared, as the header's algorithm says."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from daemon.sealed.envelope import SealedParts
from daemon.sealed.header import ENC, Ephemeral
from daemon.sealed.keys import SYMMETRIC_BYTES, Secret

_OAEP = padding.OAEP(padding.MGF1(SHA256()), SHA256(), label=None)
"""RSA-OAEP-256. Source: RFC 7518, section 4.3."""

_UNCOMPRESSED = b"\x04"
"""Source: SEC 1, version 2.0, section 2.3.3."""


def content_key(secret: Secret, parts: SealedParts) -> bytearray | None:
    """The content key that a secret makes of a sealed photo, in a buffer that the caller wipes.

    Args:
        secret: of the kind that the header asks for.
        parts: the sealed photo.

    Returns:
        32 bytes, which are the right ones only if the photo's tag says so; None where none can be made: a point that
        is not on the curve, an agreement that says nothing of the secret, an encrypted key that does not decode.
    """
    try:
        if isinstance(secret, bytes):
            return bytearray(secret)
        if isinstance(secret, rsa.RSAPrivateKey):
            return _unwrapped(secret, parts.encrypted_key)
        return _agreed(secret, parts)
    except ValueError:
        return None


def agreement(secret: x25519.X25519PrivateKey | ec.EllipticCurvePrivateKey, epk: Ephemeral) -> bytes:
    """What both sides know and nobody else: Z of the key derivation.

    Raises:
        ValueError: the sender's point is not on P-256, or of low order on X25519.
    """
    if isinstance(secret, x25519.X25519PrivateKey):
        # Refuses a result of zeros, as RFC 7748, section 6.1, wants: a low-order point makes every key agree on it.
        return secret.exchange(x25519.X25519PublicKey.from_public_bytes(epk.x))
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _UNCOMPRESSED + epk.x + epk.y)
    return secret.exchange(ec.ECDH(), point)


def other_info(enc: str, bits: int, apu: bytes, apv: bytes) -> bytes:
    """What the derived key is bound to. Source: RFC 7518, section 4.6.2."""
    return b"".join(map(_counted, (enc.encode("ascii"), apu, apv))) + bits.to_bytes(4, "big")


def derived(shared: bytes, info: bytes, key: bytearray) -> None:
    """Fill a key from Z by Concat KDF with SHA-256.

    Source: RFC 7518, section 4.6.2; NIST SP 800-56A, revision 2, section 5.8.1.
    """
    ConcatKDFHash(SHA256(), len(key), info).derive_into(shared, key)


def _agreed(secret: x25519.X25519PrivateKey | ec.EllipticCurvePrivateKey, parts: SealedParts) -> bytearray:
    header = parts.header
    assert header.epk is not None  # a header with ECDH-ES has one
    key = bytearray(SYMMETRIC_BYTES)
    info = other_info(ENC, len(key) * 8, header.apu, header.apv)
    derived(agreement(secret, header.epk), info, key)
    return key


def _unwrapped(secret: rsa.RSAPrivateKey, encrypted_key: bytes) -> bytearray:
    number, modulus = int.from_bytes(encrypted_key, "big"), secret.public_key().public_numbers().n
    is_below = number < modulus
    if not is_below:
        # OpenSSL would refuse it at once, and so tell which modulus it was held against: work on a number that fits.
        number &= (1 << secret.key_size - 1) - 1
    key = bytearray(secret.decrypt(number.to_bytes(len(encrypted_key), "big"), _OAEP))
    _pay_for_an_exception(secret)
    if not is_below or len(key) != SYMMETRIC_BYTES:
        raise ValueError
    return key


def _pay_for_an_exception(secret: rsa.RSAPrivateKey) -> None:
    """What decodes costs what does not: an exception more, which is three microseconds in a request."""
    try:
        secret.decrypt(b"", _OAEP)  # refused for its length, before any arithmetic
    except ValueError:
        return


def _counted(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content

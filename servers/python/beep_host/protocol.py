"""The constants of the wire. Twin of `protocol.ts`; `docs/PROTOCOL.md` is the specification."""

from __future__ import annotations

PROTOCOL_VERSION = 1
SERVER_VERSION = "0.1.0"
PIPE_MAGIC = b"BEEP"
FRAMES_CONTENT_TYPE = "application/x-beep-frames"
FRAMES_PATH = "/beep/v1/call"
SESSION_HEADER = "beep-session"
NONCE_HEADER = "beep-nonce"
PROOF_HEADER = "beep-proof"

# A JSON number beyond this would lose digits in JavaScript.
MAX_SAFE_INTEGER = 2**53 - 1

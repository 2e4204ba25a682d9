"""A commune that works by mail: each request is a message, each reply a change.

Sources: RFC 5321 (SMTP), 5322 (messages), 3501 (IMAP), 3464 (delivery reports), 3834 (automatic
answers), 8601 (Authentication-Results).
"""

from adapters.email.adapter import EmailAdapter
from adapters.email.options import EmailOptions

__all__ = ["EmailAdapter", "EmailOptions"]

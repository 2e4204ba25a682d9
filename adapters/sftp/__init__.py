"""A commune that exchanges files: each request is a folder on its SFTP server, each return a file.

Sources: draft-ietf-secsh-filexfer-02 (SFTP 3, which OpenSSH speaks), RFC 4251 to 4254, RFC 4180.
"""

from adapters.sftp.adapter import SftpAdapter
from adapters.sftp.options import SftpOptions

__all__ = ["SftpAdapter", "SftpOptions"]

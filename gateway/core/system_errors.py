"""Refusals of the operating system, in both languages: its own words are in one alone."""

from __future__ import annotations

import errno
import os
from typing import Final

from gateway.core.messages import Message, Messages, Text, plain

# fmt: off
say = Messages(
    Text("EACCES", "permission denied", "", "accès refusé", ""),
    Text("EPERM", "operation not permitted", "", "opération interdite", ""),
    Text("ENOENT", "no such file or folder", "", "fichier ou dossier absent", ""),
    Text("ENOTDIR", "a file stands where a folder is due", "",
         "un fichier est là où il faut un dossier", ""),
    Text("EISDIR", "it is a folder", "", "c'est un dossier", ""),
    Text("EEXIST", "it is there already", "", "il existe déjà", ""),
    Text("EROFS", "the file system is read-only", "",
         "le système de fichiers est en lecture seule", ""),
    Text("ENOSPC", "the disk is full", "", "le disque est plein", ""),
    Text("EDQUOT", "the quota of the disk is used up", "", "le quota du disque est épuisé", ""),
    Text("EIO", "the disk fails", "", "le disque est en panne", ""),
    Text("EMFILE", "too many files are open", "", "trop de fichiers sont ouverts", ""),
    Text("ENAMETOOLONG", "the name is too long", "", "ce nom est trop long", ""),
    Text("EADDRINUSE", "the address is in use", "", "l'adresse est déjà prise", ""),
    Text("EADDRNOTAVAIL", "the address is not one of this machine's", "",
         "l'adresse n'est pas celle de cette machine", ""),
)
# fmt: on
_UNNAMED: Final = "?"


def system_error(error: OSError) -> Message:
    """Return what the system refused; in its own words where there are none here."""
    word = errno.errorcode.get(error.errno or 0, _UNNAMED)
    return say(word) if word in say else plain(os.strerror(error.errno or 0))

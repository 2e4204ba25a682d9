"""The notes of announcements, in French: nothing of any citizen or request."""

from __future__ import annotations

MAINTENANCE = """\
Bonjour,

Une maintenance de la passerelle Toodego est planifiée. Elle concerne {commune}.

  Annonce :     {id}
  Objet :       {title}
  Début :       {starts}
  Fin :         {ends}

{body}

Pendant ce temps, des demandes et des réponses peuvent attendre. Rien n'est perdu : tout part
ensuite, dans l'ordre. Les usagers n'ont rien à faire.

Merci de confirmer que ce message a été lu :
{link}

La passerelle Toodego de la Métropole de Lyon (message automatique, ne pas répondre)
"""
CHANGE = """\
Bonjour,

Un changement technique de la passerelle Toodego est annoncé. Il peut concerner le raccordement de
{commune}.

  Annonce :     {id}
  Objet :       {title}
  À partir du : {starts}

{body}

Merci de prévenir qui exploite la GRU ou le demi-connecteur de la commune, et de confirmer que ce
message a été lu :
{link}

La passerelle Toodego de la Métropole de Lyon (message automatique, ne pas répondre)
"""
CANCELLED = """\
Bonjour,

L'annonce {id}, qui concernait {commune}, est annulée.

  Objet :       {title}
  Prévue le :   {starts}
  Motif :       {because}

La passerelle Toodego de la Métropole de Lyon (message automatique, ne pas répondre)
"""

__all__ = ["CANCELLED", "CHANGE", "MAINTENANCE"]

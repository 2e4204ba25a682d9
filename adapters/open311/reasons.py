"""The reasons that only this adapter uses."""

from __future__ import annotations

from gateway.sdk import About, Reason, Who

# A table: what is so and what to do next, in English and in French.
# fmt: off
REASONS = (
    Reason("no_attributes", About.FAR_END, Who.FAR_END,
           "the far end lists requests without the attribute that carries our reference",
           "le serveur liste les demandes sans l'attribut qui porte notre référence",
           "have it give attributes back, or set find: none",
           "lui faire rendre les attributs, ou écrire find: none"),
    Reason("too_many", About.FAR_END, Who.INTEGRATOR,
           "the far end's list may be cut", "la liste du serveur est peut-être tronquée",
           "set paging, or a shorter window", "décrire la pagination, ou raccourcir la fenêtre"),
)
# fmt: on

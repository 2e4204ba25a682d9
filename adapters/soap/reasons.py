"""The words of this adapter's outcomes that no other uses."""

from __future__ import annotations

from gateway.sdk import About, Reason, Who

# A table: what is so and what to do next, in English and in French.
# fmt: off
REASONS = (
    Reason("soap_fault", About.FAR_END, Who.INTEGRATOR,
           "the service answers with a fault", "le service répond par une erreur SOAP (Fault)",
           "look at its code; say under `faults` what it means",
           "regarder son code ; dire sous `faults` ce qu'il signifie"),
    Reason("soap_mismatch", About.SETTINGS, Who.INTEGRATOR,
           "the service does not understand the message",
           "le service ne comprend pas le message",
           "compare the WSDL in use and the port with the service's",
           "comparer le WSDL employé et le port avec ceux du service"),
    Reason("signing_key", About.SETTINGS, Who.OPERATOR,
           "messages cannot be signed", "les messages ne peuvent être signés",
           "give the key and its certificate under `signature`, in PEM",
           "donner la clé et son certificat sous `signature`, en PEM"),
    Reason("unusable_wsdl", About.SETTINGS, Who.INTEGRATOR,
           "the WSDL cannot be used", "le WSDL ne peut être employé",
           "have the vendor correct it, or correct `wsdl`",
           "le faire corriger par l'éditeur, ou corriger `wsdl`"),
    Reason("no_service", About.SETTINGS, Who.OPERATOR,
           "there is no service at this address", "il n'y a pas de service à cette adresse",
           "have the service started, or correct `address`",
           "faire démarrer le service, ou corriger `address`"),
    Reason("no_operation", About.SETTINGS, Who.INTEGRATOR,
           "the WSDL has no operation of this name", "le WSDL n'a pas d'opération de ce nom",
           "correct `operation`", "corriger `operation`"),
    Reason("unknown_argument", About.SETTINGS, Who.INTEGRATOR,
           "the operation has no argument of this name",
           "l'opération n'a pas d'argument de ce nom",
           "correct `arguments`, or the mapping", "corriger `arguments`, ou la correspondance"),
    Reason("unfit_arguments", About.CONTENT, Who.INTEGRATOR,
           "the operation does not take these arguments",
           "l'opération ne prend pas ces arguments",
           "have the mapping give what is missing", "faire donner par la correspondance ce qui"
           " manque"),
)
# fmt: on

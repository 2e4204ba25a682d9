"""Any SOAP service, known by its WSDL and by the commune's file: no Python to write."""

from adapters.soap.adapter import SoapAdapter

__all__ = ["SoapAdapter"]

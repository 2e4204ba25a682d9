"""Tests of the gateway and its adapters."""

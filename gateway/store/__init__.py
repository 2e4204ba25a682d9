"""Tables, all SQL, engines and migrations. No table class leaves this package."""

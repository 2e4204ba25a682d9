"""Tables, all SQL, engines and migrations. Nothing outside this package sees a table class."""

"""The console: pages for people, and the same for programs, over the use cases of the rooms below.

`sight` is what a reader may see: the one place where a commune's agent is kept to their communes.
`views` are pages as data, `acts` what people do as data; `router` and `api` make HTML and JSON of
both.
"""

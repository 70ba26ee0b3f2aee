"""The studio: a page on this machine on which a line is seen, heard, changed and kept.

`project` knows the manifest and OUT, `making` computes a line as `msmd batch` would, `line_view` says what the page
gets of it, `manifest_text` writes what was kept into the manifest; what was approved lies beside OUT
(`msmdcli.batch.approvals`), and `redone` says what a redo has made otherwise. `answers` is what the page may ask for,
`app` are the addresses, `guard` says who may call them, `serving` runs them until Ctrl-C. The page itself is in
`static`.

Nothing is written into OUT: that is what `msmd batch` is for, and it writes the bytes that the page has shown.
"""

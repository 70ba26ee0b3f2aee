"""The review page: a batch as a page that needs no server, can be mailed, and whose marks can be carried back.

Its head, player, curves and list are the studio's own files (`msmdcli/studio/static`): `modules` puts them into the
page. `takes` packs what a line shows, `said` knows what it says itself, `heads` finds the head that shows it, `sounds`
gets its recording into the page, `page` writes all of it, and `marks` takes in what somebody has approved, noted and
wants made again.
"""

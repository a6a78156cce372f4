"""The pictures of the notes, one file a picture: each made from the derived statements.

Which layer it is does not matter; a picture is there if the equation has what it shows.
"""

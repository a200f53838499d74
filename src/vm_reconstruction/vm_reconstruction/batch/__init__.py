"""`vm-reconstruct batch FOLDER`: many videos, several at a time, on Ray; one bad video harms no other."""

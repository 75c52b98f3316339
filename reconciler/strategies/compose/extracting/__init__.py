"""Files out of images, none of which is run."""

"""Running an app's migration, once, in what was prepared and not yet switched to."""

"""Git servers, hosted repositories and work trees."""

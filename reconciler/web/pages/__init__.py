"""The pages that people look at: each is a template, a view that fills it, and forms that post."""

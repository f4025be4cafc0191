"""The Compare page: two pictures, how alike they are, and why."""

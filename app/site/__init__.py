"""From the pages to a site: one application, served over HTTP."""

"""Family: where plays run on other machines."""

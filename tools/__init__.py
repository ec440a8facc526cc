"""fvctl: what technicians and makers of releases type. One sub-command, one module; `cli` lists them."""

"""How fast the device is, and against what: everything behind `fvctl bench`, `bench cost` and `bench memory`.

`race` is the whole run. What is measured runs in processes of its own (`subject`): the pipeline and the bare engines
(`ours`), OpenCV's pipeline (`opencv`), a daemon (`site`) and who asks it (`load`). `figures` has the arithmetic,
`processes` memory and processor time, `machine` what it ran on, `photos` the photos, `tables` and `plot` the results;
`cost` varies photos and clients, `flatness` asks for long.
"""

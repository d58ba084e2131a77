from tests.remediation.kube import scene_of

scene = scene_of("restart")

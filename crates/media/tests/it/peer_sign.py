"""Signs a file with c2pa-python: CHAIN KEY TYPE IN OUT."""

import json
import sys

import c2pa

chain, key, kind, source, target = sys.argv[1:]
manifest = {
    "claim_generator_info": [{"name": "peer", "version": "1"}],
    "title": "work",
    "assertions": [
        {
            "label": "c2pa.actions.v2",
            "data": {
                "actions": [
                    {
                        "action": "c2pa.created",
                        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCreation",
                    }
                ]
            },
        },
        {
            "label": "cawg.training-mining",
            "data": {
                "entries": {
                    "cawg.ai_training": {"use": "allowed"},
                    "cawg.ai_generative_training": {"use": "notAllowed"},
                    "cawg.data_mining": {
                        "use": "constrained",
                        "constraint_info": "may only be mined on days whose names end in 'y'",
                    },
                }
            },
        },
    ],
}
with open(chain, "rb") as file:
    certificates = file.read()
with open(key, "rb") as file:
    secret = file.read()
info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, certificates, secret, None)
with c2pa.Signer.from_info(info) as signer, c2pa.Builder(json.dumps(manifest)) as builder:
    with open(source, "rb") as reading, open(target, "w+b") as writing:
        builder.sign(signer, kind, reading, writing)

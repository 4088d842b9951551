"""Batch's REST APIs: https://doc.batch.com/developer/api/cep/audiences/list, https://doc.batch.com/api/custom-audience/1.0/list/.

factory  one client per destination
├── mep · cep      the two APIs behind one Protocol (client)
│   ├── look       existence, creation and deletion: what is seen decides, never the status of a write
│   ├── reading    bodies → Observed, Inventory, Written
│   └── transport  attempts, retries, refusals ── pacing · sanitise
├── barrier        waiting for Batch to finish what it accepted
└── wire           rows → JSON items, as SQL text (pure)
"""

/// One request of the public API with the fields that it may have. `<kind>` stands for an id that an earlier answer gave.
struct WalkRequest {
    let method: String
    /// As the route is declared, with its parameters filled in.
    let path: String
    /// Names of query items that the route reads.
    let query: [String]
    let body: String?
    /// Of which kind the id in a first answer is.
    let keeps: String?
    /// Whether the answer has no end.
    let isStream: Bool

    init(
        _ method: String, _ path: String, query: [String] = [], body: String? = nil, keeps: String? = nil,
        isStream: Bool = false
    ) {
        (self.method, self.path, self.query, self.body) = (method, path, query, body)
        (self.keeps, self.isStream) = (keeps, isStream)
    }
}

/// Every route of the three services, in an order in which all can be answered.
enum Walk {
    private static let page = ["limit", "cursor"]

    static let all = limits + jobs + stock + system

    private static let limits: [WalkRequest] = [
        .init(
            "POST", "/api/rate-limits",
            body: #"""
                {"name":"bucket","enabled":true,"mode":"shadow","group":"g","action":"limit","strategy":"token_bucket",
                "limit":5,"window":"1s","burst":10,"initial":3,"onStoreFailure":"local","per":["identifier","endpoint"],
                "match":{"endpoint":"/a/{id}/*","method":"GET","tier":"free","identifier":["ann","10.0.0.0/8","bob"],"exact":true}}
                """#, keeps: "rule"),
        .init(
            "POST", "/api/rate-limits",
            body: #"{"name":"quota","strategy":"quota","limit":5,"period":"month","timeZone":"Europe/Berlin"}"#,
            keeps: "rule"),
        .init(
            "POST", "/api/rate-limits",
            body: #"""
                {"name":"slots","strategy":"concurrency","limit":50,"maxLeaseMs":60000,"match":{"endpoint":"/slots"}}
                """#,
            keeps: "rule"),
        .init(
            "POST", "/api/rate-limits",
            body:
                #"{"name":"log","strategy":"sliding_window","limit":5,"window":"1m","per":["global"],"match":{"endpoint":"/log"}}"#,
            keeps: "rule"),
        .init("GET", "/api/rate-limits", query: page),
        .init(
            "POST", "/api/rate-limits/apply", query: ["prune"],
            body: #"{"rules":[{"name":"window","strategy":"fixed_window","limit":9,"window":"1h"}]}"#),
        .init("GET", "/api/rate-limits/<rule>"),
        .init("GET", "/api/rate-limits/rules/<rule>"),
        .init(
            "PUT", "/api/rate-limits/<rule>",
            body: #"{"name":"edited","strategy":"sliding_window_counter","limit":5,"window":"1m","group":"g"}"#),
        .init(
            "POST", "/api/rate-limits/check",
            body: #"""
                {"identifier":"ann","apiKey":"k","userId":"u","ip":"192.0.2.1","endpoint":"/a/7/x","method":"GET",
                "tier":"free","cost":1,"peek":false,"receipt":true}
                """#),
        .init(
            "POST", "/api/rate-limits/check/bulk",
            body: #"{"checks":[{"identifier":"ann","cost":2},{"ip":"2001:db8::1","endpoint":"/slots"}]}"#),
        .init("GET", "/api/rate-limits/status", query: ["identifier", "endpoint", "method", "tier", "ip", "userId"]),
        .init(
            "GET", "/api/rate-limits/authorize",
            query: ["deny", "proxy", "uri-header", "method-header", "api-key-header", "user-header", "tier-header"]),
        .init(
            "POST", "/api/rate-limits/leases", body: #"{"identifier":"ann","ip":"192.0.2.1","endpoint":"/slots"}"#,
            keeps: "lease"),
        .init("PUT", "/api/rate-limits/leases/<lease>"),
        .init("DELETE", "/api/rate-limits/leases/<lease>"),
        .init(
            "POST", "/api/rate-limits/refund",
            body: #"{"identifier":"ann","ip":"192.0.2.1","endpoint":"/log","amount":1,"rule":"log"}"#),
        .init(
            "POST", "/api/rate-limits/reset",
            body: #"{"identifier":"ann","ip":"192.0.2.1","endpoint":"/log","rule":"log"}"#),
        .init("GET", "/api/rate-limits/events", isStream: true),
        .init(
            "POST", "/api/rate-limits/simulate",
            body: #"""
                {"rule":{"name":"s","strategy":"fixed_window","limit":1,"window":"1h"},"startAt":"2026-01-01T00:00:00Z",
                "requests":[{"identifier":"ann","atMs":0,"cost":1},{"identifier":"ann","atMs":3600000}]}
                """#),
        .init("DELETE", "/api/rate-limits/<rule>"),
    ]

    private static let job = #"""
        {"name":"one","type":"simulated","priority":"high","queue":"q1","config":{"durationMs":1,"failTimes":1,"result":[7]},
        "retries":2,"backoff":{"kind":"fixed","baseMs":1,"maxMs":5},"timeout":"30s","retryOnTimeout":true,
        "unique":{"key":"u","until":"finished"},"conflict":{"name":"c","strategy":"queue"},"resources":{"cpu":1},
        "preemptible":true,"cache":{"forMs":1000},"durability":"memory"}
        """#

    private static let jobs: [WalkRequest] = [
        .init("PUT", "/api/resources?queue=q1", body: #"{"cpu":4,"memory":100}"#),
        .init("GET", "/api/resources", query: ["queue"]),
        .init(
            "PUT", "/api/job-types/resize?queue=q1",
            body: #"""
                {"concurrency":9,"rate":{"limit":100,"per":"1s"},"maxQueueMs":60000,"maxRunMs":60000,"successRate":99.5,
                "external":true,"alertURL":""}
                """#),
        .init("GET", "/api/job-types/resize?queue=q1"),
        .init("GET", "/api/sla", query: ["queue"]),
        .init("POST", "/api/jobs", body: job, keeps: "job"),
        .init("POST", "/api/jobs", body: #"{"name":"ext","type":"resize","queue":"q1"}"#, keeps: "job"),
        .init(
            "POST", "/api/jobs",
            body: #"""
                {"name":"later","type":"simulated","queue":"q1","runAt":"2099-01-01T00:00:00Z","dependencies":["<job>"]}
                """#,
            keeps: "job"),
        .init(
            "POST", "/api/jobs",
            body: #"""
                {"name":"cron","type":"simulated","queue":"q2","schedule":"*/5 * * * *","timeZone":"Europe/Berlin",
                "missed":"latest","overlap":"queue","queueLimit":3}
                """#,
            keeps: "cron"),
        .init(
            "POST", "/api/jobs", body: #"{"name":"hand","type":"simulated","queue":"q1","manual":true}"#, keeps: "hand"),
        .init("GET", "/api/jobs", query: page + ["status", "queue", "type", "name"]),
        .init("GET", "/api/dead", query: page + ["queue", "type"]),
        .init("GET", "/api/jobs/<job>"),
        .init(
            "PUT", "/api/jobs/<hand>",
            body: #"""
                {"name":"edited","type":"simulated","queue":"q1","manual":true,"priority":"low"}
                """#),
        .init("POST", "/api/jobs/<job>/run"),
        .init("POST", "/api/jobs/<job>/retry"),
        .init("GET", "/api/jobs/<job>/history", query: page),
        .init("GET", "/api/jobs/<job>/result"),
        .init("POST", "/api/jobs/<job>/cancel"),
        .init(
            "POST", "/api/jobs/bulk",
            body: #"""
                {"jobs":[{"name":"a","type":"simulated","queue":"q1"},
                {"name":"b","type":"simulated","queue":"q1","dependencies":["a"]}]}
                """#),
        .init(
            "POST", "/api/batches",
            body: #"""
                {"name":"batch","jobs":[{"name":"a","type":"simulated","queue":"q1"},
                {"name":"b","type":"simulated","queue":"q1","dependencies":[{"id":"a","on":"completion"}]}],
                "callback":{"name":"done","type":"simulated","queue":"q1"}}
                """#,
            keeps: "batch"),
        .init("GET", "/api/batches/<batch>"),
        .init("GET", "/api/queues"),
        .init("POST", "/api/queues/q1/pause"),
        .init("POST", "/api/queues/q1/resume"),
        .init("GET", "/api/jobs/events", query: ["queue"], isStream: true),
        .init(
            "POST", "/api/workers/lease",
            body: #"{"worker":"w","queues":["q1"],"types":["resize"],"max":2,"waitMs":1}"#),
        .init(
            "POST", "/api/workers/heartbeat",
            body:
                #"{"worker":"w","all":false,"items":[{"executionId":"q1-000000000001.1795402275479001","progress":7}]}"#
        ),
        .init(
            "POST", "/api/workers/finish",
            body: #"""
                {"worker":"w","items":[{"executionId":"q1-000000000001.1795402275479001","outcome":"failed","error":"no",
                "permanent":false,"retryAfterMs":5},{"executionId":"q1-000000000002.1795402275479001",
                "outcome":"completed","result":{"width":80}}],"lease":{"queues":["q1"],"types":["resize"],"max":1}}
                """#),
        .init("GET", "/api/workers"),
        .init("GET", "/api/cron/preview", query: ["expression", "timeZone", "from", "count"]),
        .init("DELETE", "/api/jobs/<job>"),
    ]

    private static let product = #"""
        {"name":"Mug","sku":"MUG-1","description":"white","category":"cups","minStockLevel":10,"maxStockLevel":900,
        "thresholds":{"critical":5,"emergency":2,"warehouses":{"warehouse-1":{"warning":8,"critical":4,"emergency":1,"max":500}}},
        "leadTimeDays":3,"safetyStock":2,"unitsPerOrder":6}
        """#

    private static let stock: [WalkRequest] = [
        .init(
            "POST", "/api/warehouses",
            body: #"""
                {"id":"north","name":"North","location":"Kiel","coordinates":{"latitude":54.3,"longitude":10.1},
                "priority":3,"keptPerMille":100,"mayReserve":true,"mayShip":true,"mayReceive":true}
                """#,
            keeps: "warehouse"),
        .init("GET", "/api/warehouses"),
        .init("GET", "/api/warehouses/<warehouse>"),
        .init("PUT", "/api/warehouses/<warehouse>", body: #"{"name":"North","priority":4}"#),
        .init("POST", "/api/products", body: product, keeps: "product"),
        .init("POST", "/api/products", body: #"{"name":"Cup","sku":"CUP-1"}"#, keeps: "product"),
        .init("GET", "/api/products", query: page + ["category"]),
        .init("GET", "/api/products/<product>"),
        .init("PUT", "/api/products/<product>", body: #"{"name":"Mug","minStockLevel":9,"unitsPerOrder":7}"#),
        .init(
            "POST", "/api/inventory/MUG-1/adjust",
            body: #"{"warehouseId":"warehouse-1","type":"add","quantity":500,"reason":"delivery"}"#),
        .init(
            "POST", "/api/inventory/CUP-1/adjust",
            body: #"{"warehouseId":"warehouse-1","type":"set","quantity":500,"expected":0}"#),
        .init("GET", "/api/inventory/<product>", query: ["warehouseId"]),
        .init(
            "POST", "/api/inventory/bulk-adjust",
            body: #"""
                {"mode":"partial","adjustments":[{"productId":"MUG-1","warehouseId":"warehouse-1","type":"add","quantity":5},
                {"productId":"CUP-1","warehouseId":"warehouse-2","type":"add","quantity":7,"reason":"found"}]}
                """#,
            keeps: "bulk"),
        .init("GET", "/api/inventory/bulk/<bulk>"),
        .init("POST", "/api/inventory/bulk/<bulk>/rollback"),
        .init(
            "POST", "/api/reservations",
            body: #"""
                {"productId":"MUG-1","warehouseId":"warehouse-1","quantity":2,"orderId":"o1","expiresInMs":600000,
                "priority":3,"durability":"memory"}
                """#,
            keeps: "hold"),
        .init(
            "POST", "/api/reservations",
            body: #"""
                {"productId":"MUG-1","quantity":2,"allocation":"split","order":"distance",
                "near":{"latitude":54.3,"longitude":10.1},"expiresAt":"<soon>"}
                """#,
            keeps: "hold"),
        .init(
            "POST", "/api/reservations",
            body: #"""
                {"orderId":"o2","lines":[{"productId":"MUG-1","quantity":1,"allocation":"any","order":"priority"},
                {"productId":"CUP-1","quantity":1,"warehouseId":"warehouse-1"}],"expiresInMs":600000}
                """#,
            keeps: "order"),
        .init("GET", "/api/reservations", query: ["orderId"]),
        .init("GET", "/api/reservations/<hold>"),
        .init("PUT", "/api/reservations/<hold>", body: #"{"quantity":3}"#),
        .init(
            "POST", "/api/reservations",
            body: #"""
                {"productId":"CUP-1","warehouseId":"warehouse-1","quantity":900,"backorder":true,"maxWaitMs":60000}
                """#),
        .init(
            "POST", "/api/reservations",
            body: #"""
                {"productId":"MUG-1","warehouseId":"warehouse-1","quantity":1,"replaces":["<hold>"]}
                """#),
        .init("PUT", "/api/reservations/<hold>/extend", body: #"{"expiresInMs":700000}"#),
        .init("PUT", "/api/reservations/<hold>/confirm", body: #"{"quantity":1}"#),
        .init("PUT", "/api/reservations/<order>/confirm"),
        .init("PUT", "/api/reservations/<hold>/cancel", body: #"{"reason":"changed"}"#),
        .init(
            "POST", "/api/transfers",
            body: #"""
                {"productId":"MUG-1","fromWarehouseId":"warehouse-1","toWarehouseId":"warehouse-2","quantity":4,"reason":"r"}
                """#,
            keeps: "transfer"),
        .init("GET", "/api/transfers", query: page + ["productId", "status"]),
        .init("GET", "/api/transfers/<transfer>"),
        .init("PUT", "/api/transfers/<transfer>/ship", body: #"{"reason":"left"}"#),
        .init("PUT", "/api/transfers/<transfer>/receive", body: #"{"quantity":3,"reason":"came"}"#),
        .init("PUT", "/api/transfers/<transfer>/cancel"),
        .init(
            "POST", "/api/counts",
            body: #"{"productId":"MUG-1","warehouseId":"warehouse-1","counted":450,"reason":"counted","force":true}"#),
        .init(
            "POST", "/api/inventory/<product>/write-off",
            body: #"{"warehouseId":"warehouse-1","quantity":1,"reason":"broken","force":false}"#),
        .init("GET", "/api/inventory/<product>/ledger", query: page + ["warehouseId", "replay"]),
        .init("POST", "/api/inventory/reconcile", body: #"{"productId":"MUG-1","repair":false}"#),
        .init("POST", "/api/inventory/reconcile", body: #"{}"#),
        .init("GET", "/api/inventory/reorder", query: page + ["days", "productId"]),
        .init("GET", "/api/inventory/placement", query: ["days", "productId"]),
        .init("GET", "/api/products/export", query: ["format"]),
        .init("GET", "/api/inventory/export", query: ["format", "warehouseId"]),
        .init("POST", "/api/products/import", query: ["format"], body: "sku,name\nPEN-1,Pen\n"),
        .init(
            "POST", "/api/inventory/import", query: ["format"],
            body: "productId,warehouseId,quantity\nMUG-1,warehouse-1,400\n"),
        .init("GET", "/api/alerts/low-stock", query: page + ["warehouseId"]),
        .init("POST", "/api/alerts/<alert>/acknowledge"),
        .init("GET", "/api/inventory/events", isStream: true),
        .init("DELETE", "/api/warehouses/<warehouse>"),
    ]

    private static let system: [WalkRequest] = [
        .init("GET", "/api/audit", query: page), .init("GET", "/healthz"), .init("GET", "/readyz"),
        .init("GET", "/metrics"),
    ]
}

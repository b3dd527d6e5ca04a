import Bytes
import JSON

/// What is asked of the server, and what it must answer. `name` is what `--workload` takes.
enum WorkloadName: String, CaseIterable {
    /// GET /healthz: what a request costs that does nothing.
    case health
    /// One check each, keys spread evenly, all allowed.
    case checkAllowed = "check-allowed"
    /// The same, with every key far over its limit.
    case checkDenied = "check-denied"
    /// All checks of one identifier.
    case checkHot = "check-hot"
    /// Three rules apply to each check.
    case checkComposed = "check-composed"
    /// 100 checks in one call.
    case bulk
    /// What nginx's `auth_request` sends.
    case forwardAuth = "forward-auth"
    /// One job each.
    case enqueue
    /// 500 jobs in one call.
    case enqueueBulk = "enqueue-bulk"
    /// One unit of stock each, of as many products as there are keys.
    case reserve
    /// The same of one product, each with an Idempotency-Key of its own, as many as there are keys.
    case reserveKeyed = "reserve-keyed"
    /// GET of any path, for other servers.
    case plain
}

struct Workload {
    static let bulkSize = 100
    static let jobBulkSize = 500

    let name: WorkloadName
    let requests: RequestSet
    let decisionsPerRequest: Int
    /// How often every request is sent, in order, before the clock starts: once makes the keys, twice makes denied keys
    /// known as denied.
    let warmPasses: Int
    /// Any other status makes the run a failure.
    let accepts: ClosedRange<Int>
    /// What every answer, head or body, must say so many times. A limiter whose Redis fails answers quickly and with the
    /// right status, by its failure mode: without this the run would measure that.
    let proof: (text: StaticString, times: Int)?

    /// - Parameters:
    ///   - keys: how many different identifiers.
    ///   - seed: chooses the identifiers of a bulk call.
    ///   - path: of `plain` only.
    ///   - token: sent as a bearer token.
    init(_ name: WorkloadName, host: String, keys: Int, seed: UInt64, path: String = "/", token: String? = nil) {
        self.name = name
        let common = "Host: \(host)\r\n" + (token.map { "Authorization: Bearer \($0)\r\n" } ?? "")
        var set = RequestSet()
        let body = ByteBuffer()
        func addChecks(_ endpoint: StaticString, _ identifiers: Int) {
            for key in 0..<identifiers {
                body.removeAll()
                var json = JSONWriter(body)
                Workload.writeCheck(&json, key, endpoint)
                set.add("POST", "/api/rate-limits/check", common, json: body.view)
            }
        }
        var decisions = 1
        var passes = 1
        var accepts = 200...200
        var proof: (StaticString, Int)? = ("\"reason\":\"allowed\"", 1)
        switch name {
        case .health:
            set.add("GET", "/healthz", common)
            decisions = 0
            proof = nil
        case .plain:
            set.add("GET", path, common)
            accepts = 200...299
            decisions = 0
            proof = nil
        case .checkAllowed: addChecks("/bench/allowed", keys)
        case .checkHot: addChecks("/bench/hot", 1)
        case .checkComposed:
            addChecks("/bench/composed", keys)
            proof = ("\"name\":\"bench-composed-", 3)
        case .checkDenied:
            addChecks("/bench/denied", keys)
            passes = 2
            accepts = 429...429
            proof = ("\"reason\":\"limit-exceeded\"", 1)
        case .bulk:
            var random = SplitMix64(seed: seed)
            for _ in 0..<max(1, min(keys / 10, 1000)) {
                body.removeAll()
                var json = JSONWriter(body)
                json.beginObject()
                json.beginArray("checks")
                for _ in 0..<Workload.bulkSize {
                    Workload.writeCheck(&json, random.index(below: keys), "/bench/allowed")
                }
                json.endArray()
                json.endObject()
                set.add("POST", "/api/rate-limits/check/bulk", common, json: body.view)
            }
            decisions = Workload.bulkSize
            proof = ("\"reason\":\"allowed\"", Workload.bulkSize)
        case .enqueue, .enqueueBulk:
            let isBulk = name == .enqueueBulk
            Workload.writeJobs(isBulk ? Workload.jobBulkSize : 1, to: body)
            set.add("POST", isBulk ? "/api/jobs/bulk" : "/api/jobs", common, json: body.view)
            decisions = isBulk ? Workload.jobBulkSize : 1
            passes = 0
            accepts = 201...201
            proof = ("\"id\":\"default-", decisions)
        case .reserve, .reserveKeyed:
            let isKeyed = name == .reserveKeyed
            for key in 0..<keys {
                body.removeAll()
                var json = JSONWriter(body)
                Workload.writeReservation(&json, product: isKeyed ? 0 : key)
                let headers = isKeyed ? "Idempotency-Key: \(Workload.identifier(key))\r\n" : ""
                set.add("POST", "/api/reservations", common + headers, json: body.view)
            }
            passes = isKeyed ? 1 : 0
            accepts = 201...201
            proof = ("\"status\":\"active\"", 1)
        case .forwardAuth:
            proof = ("\r\nX-RateLimit-Remaining: ", 1)
            for key in 0..<keys {
                let headers =
                    "X-Original-URI: /bench/allowed?page=\(key % 10)\r\nX-Original-Method: GET\r\n"
                    + "X-Forwarded-For: 198.51.100.\(key % 250 + 1)\r\nX-API-Key: \(Workload.identifier(key))\r\n"
                set.add(
                    "GET", "/api/rate-limits/authorize?proxy=nginx&api-key-header=x-api-key", common, headers: headers)
            }
        }
        requests = set
        decisionsPerRequest = decisions
        warmPasses = passes
        self.accepts = accepts
        self.proof = proof
    }

    /// `bench-000000000042`: twelve digits, as redis-benchmark writes its `__rand_int__`, so that its keys are ours.
    static func identifier(_ key: Int) -> String {
        let digits = String(key)
        return "bench-" + String(repeating: "0", count: max(0, 12 - digits.utf8.count)) + digits
    }

    /// A job that does nothing, with 112 bytes of config; or several in one body.
    private static func writeJobs(_ count: Int, to body: ByteBuffer) {
        var json = JSONWriter(body)
        if count > 1 {
            json.beginObject()
            json.beginArray("jobs")
        }
        for _ in 0..<count {
            json.beginObject()
            json.field("name", "bench")
            json.field("type", "simulated")
            json.beginObject("config")
            json.field("result", String(repeating: "x", count: 99))
            json.endObject()
            json.endObject()
        }
        if count > 1 {
            json.endArray()
            json.endObject()
        }
    }

    private static func writeReservation(_ json: inout JSONWriter, product: Int) {
        json.beginObject()
        json.field("productId", identifier(product))
        json.field("warehouseId", StockSetup.warehouse)
        json.field("quantity", 1)
        json.endObject()
    }

    private static func writeCheck(_ json: inout JSONWriter, _ key: Int, _ endpoint: StaticString) {
        json.beginObject()
        json.field("identifier", identifier(key))
        json.field("endpoint", endpoint)
        json.field("method", "GET")
        json.endObject()
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): a seed makes the same sequence on every run and machine.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Evenly spread over 0 ..< `count`; the bias of the multiplication is below 2^-40 for any count used here.
    mutating func index(below count: Int) -> Int {
        Int(next().multipliedFullWidth(by: UInt64(count)).high)
    }
}

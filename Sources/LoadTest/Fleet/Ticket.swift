import Bytes
import JSON

/// One request of a mixed run until its outcome is known, however often it is tried.
final class Ticket {
    /// What it is about: a place in the run's record.
    enum Subject {
        /// The name of the limited key; empty where the limit is never met.
        case check(String)
        case job(Int)
        case reservation(Int)
        case settlement(Int)
    }

    let kind: RequestKind
    let subject: Subject
    let bytes: ByteBuffer
    /// By the clock of the loop, µs: when it was meant to be sent, and when it was sent last.
    let intendedUs: Int64
    var sentUs: Int64 = 0
    /// The same by the wall's clock.
    var sentWallUs: Int64 = 0
    var tries = 0

    init(_ kind: RequestKind, _ subject: Subject, _ bytes: ByteBuffer, intendedUs: Int64) {
        self.kind = kind
        self.subject = subject
        self.bytes = bytes
        self.intendedUs = intendedUs
    }
}

/// Writes the requests of a mixed run and the beginning of its record.
struct MixedRequests {
    /// Limits are chosen so that about half of the checks of a limited key are refused, at the rate it is asked.
    static let endpoints = ["/fleet/free", "/fleet/bucket", "/fleet/window"]
    static let limits = [
        RunRecord.Limit(name: "fleet-bucket", shape: .bucket, limit: 4, windowUs: 1_000_000, burst: 8),
        RunRecord.Limit(name: "fleet-window", shape: .window, limit: 8, windowUs: 2_000_000, burst: 0),
    ]
    /// How long a hold lives that is not to lapse.
    private static let longMs = 3_600_000

    private let common: String
    private let run: String
    private let isReplicated: Bool
    private let identifiers: Int
    /// Of the limit that nobody meets: few enough for all to be known to Redis soon, or its memory would grow with them.
    private let freeIdentifiers: Int

    init(_ options: MixedOptions, run: String) {
        common =
            "Host: \(options.target.host)\r\n" + (options.token.map { "Authorization: Bearer \($0)\r\n" } ?? "")
        self.run = run
        isReplicated = options.isReplicated
        freeIdentifiers = min(10_000, max(100, options.rate * 4))
        // Two of ten checks go to each of the two limits, of 4 a second.
        identifiers = options.identifiers ?? max(1, options.rate * options.mix.checks * 2 / (1000 * 8))
    }

    /// The rules, each for one endpoint; while Redis is away nobody is let through by a limited one.
    static let rules = [
        BenchRules.Rule(
            name: "fleet-free",
            json: #"{"name":"fleet-free","group":"fleet-free","strategy":"token_bucket","limit":1000000,"window":"1d","#
                + #""match":{"endpoint":"/fleet/free"},"onStoreFailure":"deny"}"#),
        BenchRules.Rule(
            name: "fleet-bucket",
            json: #"{"name":"fleet-bucket","group":"fleet-bucket","strategy":"token_bucket","limit":4,"window":"1s","#
                + #""burst":8,"match":{"endpoint":"/fleet/bucket"},"onStoreFailure":"deny"}"#),
        BenchRules.Rule(
            name: "fleet-window",
            json: #"{"name":"fleet-window","group":"fleet-window","strategy":"fixed_window","limit":8,"window":"2s","#
                + #""match":{"endpoint":"/fleet/window"},"onStoreFailure":"deny"}"#),
    ]

    func check(_ random: inout SplitMix64, intendedUs: Int64) -> Ticket {
        // Two of ten at a bucket, two at a window, the others at a limit that nobody meets.
        let place = max(0, random.index(below: 10) / 2 - 2)
        let key = place == 0 ? random.index(below: freeIdentifiers) : random.index(below: identifiers)
        let identifier = "fleet-\(run)-\(key)"
        let bytes = request("POST", "/api/rate-limits/check", key: nil) { json in
            json.field("identifier", identifier)
            json.field("endpoint", MixedRequests.endpoints[place])
            json.field("method", "GET")
        }
        let name = place == 0 ? "" : "\(MixedRequests.limits[place - 1].name) \(identifier)"
        return Ticket(.check, .check(name), bytes, intendedUs: intendedUs)
    }

    func job(_ job: RunRecord.Job, at place: Int, intendedUs: Int64) -> Ticket {
        let bytes = request("POST", "/api/jobs", key: job.key) { json in
            json.field("name", job.key)
            json.field("type", "simulated")
            json.field("queue", job.queue)
            json.beginObject("config")
            json.field("result", job.key)
            json.endObject()
            if isReplicated { json.field("durability", "replicated") }
        }
        return Ticket(.job, .job(place), bytes, intendedUs: intendedUs)
    }

    func reservation(_ hold: RunRecord.Hold, at place: Int, lifeMs: Int, intendedUs: Int64) -> Ticket {
        let bytes = request("POST", "/api/reservations", key: hold.key) { json in
            json.field("productId", hold.sku)
            json.field("warehouseId", RunRecord.warehouse)
            json.field("quantity", hold.quantity)
            json.field("expiresInMs", hold.expires ? lifeMs : MixedRequests.longMs)
            if isReplicated { json.field("durability", "replicated") }
        }
        return Ticket(.reservation, .reservation(place), bytes, intendedUs: intendedUs)
    }

    func settlement(_ hold: RunRecord.Hold, at place: Int, intendedUs: Int64) -> Ticket {
        let bytes = ByteBuffer()
        bytes.append("PUT /api/reservations/\(hold.id)/\(hold.asked) HTTP/1.1\r\n\(common)")
        bytes.append("Idempotency-Key: \(hold.key)-\(hold.asked)\r\nContent-Length: 0\r\n\r\n")
        return Ticket(.settlement, .settlement(place), bytes, intendedUs: intendedUs)
    }

    private func request(
        _ method: String, _ path: String, key: String?, _ body: (inout JSONWriter) -> Void
    ) -> ByteBuffer {
        let content = ByteBuffer()
        var json = JSONWriter(content)
        json.beginObject()
        body(&json)
        json.endObject()
        let bytes = ByteBuffer()
        bytes.append("\(method) \(path) HTTP/1.1\r\n\(common)Content-Type: application/json\r\n")
        if let key { bytes.append("Idempotency-Key: \(key)\r\n") }
        bytes.append("Content-Length: \(content.count)\r\n\r\n")
        bytes.append(content.view)
        return bytes
    }
}

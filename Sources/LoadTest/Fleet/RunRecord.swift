import Bytes
import JSON

/// What clients did and were told: the list by which Redis is looked at afterwards.
struct RunRecord: Equatable {
    struct Head: Equatable {
        var run = ""
        var prefix = "qm:"
        var durability = "memory"
        /// Whether the timetable may have made Redis forget.
        var mayLose = false
        var endMs = 0
    }

    /// A rule that is checked: `limit` in any `windowUs`; of a bucket `burst` more at once, of a window aligned to 1970.
    struct Limit: Equatable {
        enum Shape: String { case bucket, window }
        var name: String
        var shape: Shape
        var limit: Int
        var windowUs: Int64
        var burst: Int
    }

    /// A check that was answered with 200. Times of the wall clock, µs.
    struct Allowed: Equatable {
        var sentUs: Int64
        var answeredUs: Int64
    }

    enum JobFate: String { case accepted, refused, unknown }
    struct Job: Equatable {
        var queue: String
        var key: String
        var id = ""
        var fate = JobFate.unknown
    }

    enum HoldFate: String {
        case active, confirmed, cancelled
        /// An end was refused because it had ended otherwise.
        case ended
        /// There was too little stock.
        case refused
        /// Nobody said whether there is one.
        case unknown
    }
    struct Hold: Equatable {
        var sku: String
        var key: String
        var quantity: Int
        var id = ""
        var fate = HoldFate.unknown
        /// `confirm` or `cancel` where that was asked for, else empty.
        var asked = ""
        /// Meant to lapse.
        var expires = false
    }

    struct Product: Equatable {
        var sku: String
        var initial: Int
    }

    static let warehouse = "warehouse-1"

    var head = Head()
    var limits: [Limit] = []
    var products: [Product] = []
    var queues: [String] = []
    /// By limit's name and identifier, `fleet-bucket fleet-m1-7`.
    var allowed: [String: [Allowed]] = [:]
    var jobs: [Job] = []
    var holds: [Hold] = []
}

// MARK: The file

extension RunRecord {
    /// One JSON object a line, the head first.
    func text() -> String {
        let buffer = ByteBuffer()
        func line(_ body: (inout JSONWriter) -> Void) {
            var json = JSONWriter(buffer)
            json.beginObject()
            body(&json)
            json.endObject()
            buffer.append("\n")
        }
        line { json in
            json.field("record", "head")
            json.field("run", head.run)
            json.field("prefix", head.prefix)
            json.field("durability", head.durability)
            json.field("mayLose", head.mayLose)
            json.field("endMs", head.endMs)
        }
        for limit in limits {
            line { json in
                json.field("record", "limit")
                json.field("name", limit.name)
                json.field("shape", limit.shape.rawValue)
                json.field("limit", limit.limit)
                json.field("windowUs", Int(limit.windowUs))
                json.field("burst", limit.burst)
            }
        }
        for product in products {
            line { json in
                json.field("record", "product")
                json.field("sku", product.sku)
                json.field("initial", product.initial)
            }
        }
        for queue in queues {
            line { json in
                json.field("record", "queue")
                json.field("name", queue)
            }
        }
        for (name, list) in allowed.sorted(by: { $0.key < $1.key }) {
            line { json in
                json.field("record", "allowed")
                json.field("name", name)
                json.beginArray("times")
                for one in list {
                    json.value(Int(one.sentUs))
                    json.value(Int(one.answeredUs))
                }
                json.endArray()
            }
        }
        for job in jobs {
            line { json in
                json.field("record", "job")
                json.field("queue", job.queue)
                json.field("key", job.key)
                json.field("id", job.id)
                json.field("fate", job.fate.rawValue)
            }
        }
        for hold in holds {
            line { json in
                json.field("record", "hold")
                json.field("sku", hold.sku)
                json.field("key", hold.key)
                json.field("quantity", hold.quantity)
                json.field("id", hold.id)
                json.field("fate", hold.fate.rawValue)
                json.field("asked", hold.asked)
                json.field("expires", hold.expires)
            }
        }
        return buffer.view.string
    }

    /// - Throws: a `UsageError` naming the line that is none of a record's.
    init(text: String) throws(UsageError) {
        for (number, line) in text.split(separator: "\n").enumerated() {
            guard let json = String(line).withByteView({ try? JSONValue(parsing: $0) }), add(json) else {
                throw UsageError(description: "line \(number + 1) of the record is no line of a record")
            }
        }
        guard !head.run.isEmpty else { throw UsageError(description: "the record has no head") }
    }

    private mutating func add(_ json: JSONValue) -> Bool {
        func text(_ name: String) -> String { json[name]?.text ?? "" }
        func int(_ name: String) -> Int { json[name]?.int ?? 0 }
        switch text("record") {
        case "head":
            head = Head(
                run: text("run"), prefix: text("prefix"), durability: text("durability"),
                mayLose: json["mayLose"] == .bool(true), endMs: int("endMs"))
        case "limit":
            guard let shape = Limit.Shape(rawValue: text("shape")), int("windowUs") > 0 else { return false }
            limits.append(
                Limit(
                    name: text("name"), shape: shape, limit: int("limit"), windowUs: Int64(int("windowUs")),
                    burst: int("burst")))
        case "product": products.append(Product(sku: text("sku"), initial: int("initial")))
        case "queue": queues.append(text("name"))
        case "allowed":
            guard case .array(let times)? = json["times"], times.count % 2 == 0 else { return false }
            allowed[text("name")] = stride(from: 0, to: times.count, by: 2).map {
                Allowed(sentUs: Int64(times[$0].int ?? 0), answeredUs: Int64(times[$0 + 1].int ?? 0))
            }
        case "job":
            guard let fate = JobFate(rawValue: text("fate")) else { return false }
            jobs.append(Job(queue: text("queue"), key: text("key"), id: text("id"), fate: fate))
        case "hold":
            guard let fate = HoldFate(rawValue: text("fate")) else { return false }
            holds.append(
                Hold(
                    sku: text("sku"), key: text("key"), quantity: int("quantity"), id: text("id"), fate: fate,
                    asked: text("asked"), expires: json["expires"] == .bool(true)))
        default: return false
        }
        return true
    }
}

extension JSONValue {
    var text: String? { if case .string(let text) = self { text } else { nil } }
    var int: Int? { if case .int(let number) = self { number } else { nil } }
}

import Bytes
import JSON
import Telemetry

/// What one run measured, as it is printed and as the table reads it back.
struct RunResult: Equatable {
    struct ProcessUse: Equatable {
        var cpuUsPerRequest: Double
        var cpuUsPerDecision: Double?
        var residentKiB: Int
    }

    struct Latency: Equatable {
        var p50Us: Double
        var p90Us: Double
        var p99Us: Double
        var p999Us: Double
        var maxUs: Double
        var meanUs: Double
    }

    var label: String
    var requests: Int
    var requestsPerSecond: Double
    /// Nil where nothing is decided.
    var decisionsPerSecond: Double?
    var latency: Latency?
    var server: ProcessUse?
    var redis: ProcessUse?

    // What the table leaves out.
    var durationUs: Int64 = 0
    var rate: Int?
    var connections = 0
    var pipeline = 0
    /// How often each status was answered.
    var statuses: [Int: Int] = [:]
    /// Answers with a status that the workload does not expect.
    var unexpected = 0
    /// Answers that do not say what the workload expects, whatever their status.
    var unproven = 0
    /// Requests lost with their connection.
    var lost = 0
    /// Open loop: requests still unanswered when the run gave up on them; they count in the latency as long as they waited.
    var unfinished = 0
    /// Occurrences of `--count`.
    var matches: Int?
    /// Where a request is tried until it is done: how often, in the mean.
    var attemptsPerRequest: Double?
    /// Open loop: how late the generator itself was with 99 % of the requests that had a free connection.
    var sendDelayP99Us: Int64?
    /// CPU of the generator, in cores: near 1 it is the generator that is measured.
    var generatorCores = 0.0
    /// Why the run ended early.
    var failure: String?

    /// Whether every request got the answer it should.
    var isGood: Bool {
        failure == nil && unexpected == 0 && unproven == 0 && lost == 0 && unfinished == 0 && requests > 0
    }
}

extension RunResult.Latency {
    init?(_ histogram: Histogram) {
        guard histogram.count > 0 else { return nil }
        p50Us = Double(histogram.percentile(50))
        p90Us = Double(histogram.percentile(90))
        p99Us = Double(histogram.percentile(99))
        p999Us = Double(histogram.percentile(99.9))
        maxUs = Double(histogram.max)
        meanUs = histogram.mean
    }
}

// MARK: JSON

extension RunResult {
    /// Appends the result as one JSON object, names as the properties have them.
    func write(to buffer: ByteBuffer) {
        var json = JSONWriter(buffer)
        json.beginObject()
        json.field("label", label)
        json.field("requests", requests)
        json.field("requestsPerSecond", requestsPerSecond)
        if let decisionsPerSecond { json.field("decisionsPerSecond", decisionsPerSecond) }
        if let latency {
            json.beginObject("latency")
            json.field("p50Us", latency.p50Us)
            json.field("p90Us", latency.p90Us)
            json.field("p99Us", latency.p99Us)
            json.field("p999Us", latency.p999Us)
            json.field("maxUs", latency.maxUs)
            json.field("meanUs", latency.meanUs)
            json.endObject()
        }
        RunResult.write(server, "server", to: &json)
        RunResult.write(redis, "redis", to: &json)
        if durationUs > 0 { writeDetails(to: &json) }
        if let failure { json.field("failure", failure) }
        json.endObject()
    }

    /// What only a single run has, and a row of medians has not.
    private func writeDetails(to json: inout JSONWriter) {
        json.field("durationUs", Int(durationUs))
        if let rate { json.field("rate", rate) }
        json.field("connections", connections)
        json.field("pipeline", pipeline)
        json.beginObject("statuses")
        for (status, count) in statuses.sorted(by: { $0.key < $1.key }) {
            json.key(escaping: String(status))
            json.value(count)
        }
        json.endObject()
        json.field("unexpected", unexpected)
        json.field("unproven", unproven)
        json.field("lost", lost)
        json.field("unfinished", unfinished)
        if let matches { json.field("matches", matches) }
        if let attemptsPerRequest { json.field("attemptsPerRequest", attemptsPerRequest) }
        if let sendDelayP99Us { json.field("sendDelayP99Us", Int(sendDelayP99Us)) }
        json.field("generatorCores", generatorCores)
    }

    private static func write(_ use: ProcessUse?, _ name: StaticString, to json: inout JSONWriter) {
        guard let use else { return }
        json.beginObject(name)
        json.field("cpuUsPerRequest", use.cpuUsPerRequest)
        if let perDecision = use.cpuUsPerDecision { json.field("cpuUsPerDecision", perDecision) }
        json.field("residentKiB", use.residentKiB)
        json.endObject()
    }

    /// Reads the properties that the table shows; nil when the text is no result.
    init?(json: JSONValue) {
        guard case .string(let label)? = json["label"], let requestsPerSecond = json["requestsPerSecond"]?.number,
            let requests = json["requests"]?.number
        else { return nil }
        self.label = label
        self.requests = Int(requests)
        self.requestsPerSecond = requestsPerSecond
        decisionsPerSecond = json["decisionsPerSecond"]?.number
        latency = json["latency"].flatMap { Latency(json: $0) }
        server = json["server"].flatMap { ProcessUse(json: $0) }
        redis = json["redis"].flatMap { ProcessUse(json: $0) }
    }
}

extension RunResult.ProcessUse {
    fileprivate init?(json: JSONValue) {
        guard let perRequest = json["cpuUsPerRequest"]?.number else { return nil }
        cpuUsPerRequest = perRequest
        cpuUsPerDecision = json["cpuUsPerDecision"]?.number
        residentKiB = Int(json["residentKiB"]?.number ?? 0)
    }
}

extension RunResult.Latency {
    fileprivate init?(json: JSONValue) {
        guard let p50 = json["p50Us"]?.number, let p99 = json["p99Us"]?.number, let p999 = json["p999Us"]?.number
        else { return nil }
        p50Us = p50
        p90Us = json["p90Us"]?.number ?? p99
        p99Us = p99
        p999Us = p999
        maxUs = json["maxUs"]?.number ?? p999
        meanUs = json["meanUs"]?.number ?? p50
    }
}

extension JSONValue {
    fileprivate var number: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }
}

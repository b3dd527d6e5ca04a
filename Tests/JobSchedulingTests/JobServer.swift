import Application
import Bytes
import EventLoops
import JSON
import JobScheduling
import TestSupport
import Testing

/// A replica of the job scheduler in this process, with or without a worker.
final class JobServer: Sendable {
    let server: TestServer

    /// - Parameters:
    ///   - url: where its Redis is, unless it is that of `redis`.
    ///   - settings: those of the service; `concurrency` and the like.
    init(
        _ redis: RedisServer? = nil, url: String? = nil, prefix: String? = nil, works: Bool = true, loops: Int = 1,
        settings: [String: String] = [:]
    ) throws {
        let redis = try redis ?? RedisServer.shared
        server = try TestServer(
            redis: redis, prefix: prefix, loops: loops,
            services: [JobSchedulingService.definition(kinds: JobKindDefinition.standard)]
        ) { configuration in
            if let url { configuration.redisURL = url }
            configuration.serviceSettings = settings
            configuration.serviceSettings["work-grace"] = settings["work-grace"] ?? "0"
            if works { configuration.serviceSettings["work"] = "true" }
        }
    }

    // MARK: Requests

    func send(
        _ method: String, _ path: String, _ body: String? = nil, headers: [(String, String)] = []
    ) throws -> HTTPAnswer {
        try server.request(method, path, headers: headers, body: body)
    }

    /// Creates a job; its id. Anything but 201 is a failure of the test.
    @discardableResult
    func create(_ body: String) throws -> String {
        let answer = try send("POST", "/api/jobs", body)
        guard answer.status == 201, let id = answer.json?["id"]?.text else {
            throw SetUpFailure("no job: \(answer.status) \(answer.text)")
        }
        return id
    }

    /// Creates jobs in one call; their ids.
    func createAll(_ jobs: [String]) throws -> [String] {
        let answer = try send("POST", "/api/jobs/bulk", #"{"jobs":[\#(jobs.joined(separator: ","))]}"#)
        guard answer.status == 201, case .array(let created)? = answer.json?["jobs"] else {
            throw SetUpFailure("no jobs: \(answer.status) \(answer.text)")
        }
        return created.compactMap { $0["id"]?.text }
    }

    func job(_ id: String) throws -> JSONValue {
        let answer = try send("GET", "/api/jobs/\(id)")
        guard answer.status == 200, let job = answer.json else {
            throw SetUpFailure("no job \(id): \(answer.status) \(answer.text)")
        }
        return job
    }

    func status(_ id: String) throws -> String { try job(id)["status"]?.text ?? "" }

    /// Waits until a job is at `status`.
    func awaits(_ id: String, _ status: String, _ location: SourceLocation = #_sourceLocation) async throws {
        var last = ""
        let isThere = try await eventually {
            last = try self.status(id)
            return last == status
        }
        #expect(isThere, "\(id) is \(last)", sourceLocation: location)
    }

    func history(_ id: String) throws -> [JSONValue] {
        guard case .array(let entries)? = try send("GET", "/api/jobs/\(id)/history").json else { return [] }
        return entries
    }

    /// The figures of the queue `default`.
    func figures(_ queue: String = "default") throws -> JSONValue {
        guard case .array(let queues)? = try send("GET", "/api/queues").json,
            let figures = queues.first(where: { $0["name"]?.text == queue })
        else { throw SetUpFailure("no figures") }
        return figures
    }

    func pause() throws { _ = try send("POST", "/api/queues/default/pause") }
    func resume() throws { _ = try send("POST", "/api/queues/default/resume") }
}

extension JSONValue {
    var text: String? { if case .string(let text) = self { text } else { nil } }
    var number: Int? { if case .int(let number) = self { number } else { nil } }
    var flag: Bool? { if case .bool(let flag) = self { flag } else { nil } }
    var elements: [JSONValue] { if case .array(let elements) = self { elements } else { [] } }

    /// Milliseconds since the epoch of a time.
    var timeMs: Int? { text.flatMap { text in text.withByteView { Timestamp(rfc3339: $0) } }.map { Int($0.us / 1000) } }
}

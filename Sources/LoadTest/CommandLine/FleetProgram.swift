import Bytes
import EventLoops
import Glibc
import Redis

/// The commands that drive a fleet.
extension Program {
    static func run(_ options: MixedOptions) throws -> Int32 {
        let control = options.directory == nil ? nil : try FleetControl(options)
        let record = try MixedSetup.apply(options, run: options.run ?? String(WallClock.nowUs() / 1000, radix: 36))
        let loop = EventLoop()
        let run = MixedRun(loop: loop, options: options, record: record, control: control)
        var watch: ProcessWatch?
        loop.run {
            if let control, let everyUs = options.watchUs {
                watch = ProcessWatch(loop: loop, control: control, redis: options.redis)
                watch?.start(everyUs: everyUs)
            }
            run.start()
        }
        watch?.stop()
        if let path = options.record { try save(run.record.text(), path) }
        var report = MixedReport(run)
        let writes = run.record.jobs.count { $0.fate == .accepted } + run.record.holds.count { !$0.id.isEmpty }
        report.trends = watch?.trends(acceptedWrites: writes) ?? []
        if let redis = options.redis {
            do { report.laws = try judge(run.record, redis, settleUs: options.graceUs) } catch {
                report.failure = report.failure ?? "Redis could not be looked at: \(error)"
            }
        }
        if let path = options.svg {
            let faults = report.faults.map {
                TimelineSVG.Fault(atSeconds: Double($0.beganUs) / 1_000_000, label: $0.entry.text)
            }
            let title = "Latency over time: \(options.mix.text) at \(options.rate)/s"
            try save(TimelineSVG(title: title, seconds: run.seconds.seconds, faults: faults).text, path)
        }
        if let path = options.json {
            let buffer = ByteBuffer()
            report.write(to: buffer)
            try save(buffer.view.string, path)
        }
        say(report.text)
        return report.isGood ? 0 : 1
    }

    static func run(_ options: CheckOptions) throws -> Int32 {
        guard let text = readFile(options.record) else {
            throw UsageError(description: "\(options.record) cannot be read")
        }
        let record = try RunRecord(text: text)
        let laws = try judge(record, options.redis, settleUs: options.settleUs)
        if let path = options.json {
            let buffer = ByteBuffer()
            MixedReport(laws: laws, run: record.head.run).write(to: buffer)
            try save(buffer.view.string, path)
        }
        say(Aligned.table(MixedReport.rows(laws)) + MixedReport.violations(laws))
        return laws.allSatisfy(\.holds) ? 0 : 1
    }

    static func run(_ options: IdleOptions) throws -> Int32 {
        let outcome = try IdleRun.run(options)
        say(IdleRun.report(outcome, options))
        let bad = [outcome.without, outcome.with, outcome.again].filter { !$0.isGood }
        for run in bad { say(run.report) }
        let isGood = bad.isEmpty
        return isGood && outcome.stood == options.idle ? 0 : 1
    }

    private static func judge(
        _ record: RunRecord, _ configuration: RedisConfiguration, settleUs: Int64
    ) throws -> [Law] {
        let loop = EventLoop()
        var result: Result<[Law], any Error>?
        loop.run {
            let redis = RedisClient(loop: loop, configuration: configuration, scripts: [])
            redis.start()
            let reader = RecordReader(loop: loop, redis: redis, record: record)
            loop.spawn {
                do { result = .success(try await reader.judge(settleUs: settleUs)) } catch { result = .failure(error) }
                await redis.close()
                loop.stop()
            }
        }
        guard let result else { return [] }
        return try result.get()
    }

    static func save(_ text: String, _ path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw UsageError(description: "\(path) cannot be written") }
        defer { close(descriptor) }
        text.withByteView { emit($0, descriptor) }
    }
}

extension MixedReport {
    init(_ run: MixedRun) {
        self.init()
        self.run = run.record.head.run
        rate = run.options.rate
        connections = run.options.connections
        seed = run.options.seed
        durability = run.record.head.durability
        durationUs = run.durationUs
        sendDelayP99Us = run.sendDelayP99Us
        kinds = RequestKind.allCases.compactMap { kind in
            guard let result = run.results[kind], result.sent > 0 else { return nil }
            return Kind(
                kind: kind, sent: result.sent, ok: result.ok, refused: result.refused, retries: result.retries,
                unknown: result.unknown, errors: result.errors, latency: RunResult.Latency(result.latency))
        }
        faults = run.faultLog.faults
        unexpected = run.unexpected
        failure = run.failure
    }

    /// Of a check without a run.
    init(laws: [Law], run: String) {
        self.init()
        self.laws = laws
        self.run = run
    }
}

import EventLoops
import Glibc

/// What many connections that do nothing cost those that do: the same load is measured without them, with them, and
/// without them again.
enum IdleRun {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    struct Outcome {
        var without: RunResult
        var with: RunResult
        var again: RunResult
        /// Idle connections that stood to the end.
        var stood: Int

        /// p99 with them over the mean of those without.
        var ratio: Double {
            guard let with = with.latency?.p99Us, let first = without.latency?.p99Us, let last = again.latency?.p99Us
            else { return .infinity }
            return with / ((first + last) / 2)
        }
    }

    private static let connectTimeoutMs: Int32 = 10_000

    static func run(_ options: IdleOptions) throws -> Outcome {
        try raiseLimit(to: options.idle + options.active + 64)
        _ = try RuleSetup.apply(to: options.target, token: options.token)
        // A rule binds everywhere within a second of its making.
        usleep(1_200_000)
        let without = measure(options, "without")
        let crowd = try Crowd(options)
        let with = measure(options, "with \(options.idle) idle")
        let stood = crowd.standing
        crowd.end()
        return Outcome(without: without, with: with, again: measure(options, "without again"), stood: stood)
    }

    static func report(_ outcome: Outcome, _ options: IdleOptions) -> String {
        let rows = [outcome.without, outcome.with, outcome.again].map { run in
            [
                run.label, Numbers.text(run.requestsPerSecond),
                run.latency.map { Numbers.ms(us: $0.p50Us) } ?? "–",
                run.latency.map { Numbers.ms(us: $0.p99Us) } ?? "–",
                run.latency.map { Numbers.ms(us: $0.maxUs) } ?? "–",
                run.server.map { Numbers.text(Double($0.residentKiB) / 1024, decimals: 1) } ?? "–",
            ]
        }
        return Aligned.table(
            [["\(options.active) active", "requests/s", "p50 ms", "p99 ms", "max ms", "RSS MiB"]] + rows)
            + "\n\(outcome.stood) of \(options.idle) idle connections stood to the end; p99 with them is "
            + "\(Numbers.text(outcome.ratio, decimals: 2)) × p99 without\n"
    }

    private static func measure(_ options: IdleOptions, _ label: String) -> RunResult {
        var run = RunOptions(target: options.target, workload: .checkAllowed)
        run.label = label
        run.connections = options.active
        run.rate = options.rate
        run.durationUs = options.durationUs
        run.keys = 1000
        run.token = options.token
        run.serverPID = options.serverPID
        let workload = Workload(
            run.workload, host: run.target.host, keys: run.keys, seed: run.seed, token: run.token)
        let loop = EventLoop()
        let load = LoadRun(loop: loop, options: run, workload: workload)
        loop.run { load.start() }
        return load.result
    }

    private static func raiseLimit(to count: Int) throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        if limit.rlim_cur >= rlim_t(count) { return }
        limit.rlim_cur = min(limit.rlim_max, rlim_t(max(count, 65_536)))
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        guard limit.rlim_cur >= rlim_t(count) else {
            throw Failure(description: "this process may have only \(limit.rlim_cur) descriptors")
        }
    }

    /// Connections that were made and say nothing.
    private final class Crowd {
        private var descriptors: [Int32] = []

        init(_ options: IdleOptions) throws {
            // A listener's queue is finite, and so is our patience: a few hundred at a time.
            while descriptors.count < options.idle {
                let count = min(200, options.idle - descriptors.count)
                let fresh = try (0..<count).map { _ in try Sockets.connect(options.target.address) }
                descriptors += fresh
                for descriptor in fresh {
                    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    guard poll(&entry, 1, IdleRun.connectTimeoutMs) == 1, Sockets.connectError(descriptor) == 0 else {
                        throw Failure(description: "only \(descriptors.count) idle connections could be made")
                    }
                }
            }
        }

        /// How many the server has not closed.
        var standing: Int {
            var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            poll(&entries, nfds_t(entries.count), 0)
            return entries.count { $0.revents == 0 }
        }

        func end() {
            for descriptor in descriptors { close(descriptor) }
            descriptors = []
        }

        deinit { end() }
    }
}

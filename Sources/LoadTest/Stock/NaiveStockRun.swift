import EventLoops
import Glibc
import Redis
import Telemetry

/// Many naive reservations of one product at once, each tried until it is done; stops its loop at the end. Confined to that
/// loop.
///
/// What is counted was done between two moments. What is under way at the second is still brought to its end.
final class NaiveStockRun {
    /// A client keeps so many connections for its next transactions; one that had to make them anew would be slower.
    private static let connectionsPerClient = 16

    private let loop: EventLoop
    private let options: NaiveStockOptions
    private let clients: [RedisClient]
    private let latency = Histogram()
    private var timers: [LoopTimer] = []
    private var usage: UsageWindow?
    private var startUs: Int64 = 0
    private var isOver = false
    private var givesUp = false
    private var begun = 0
    private var underWay: Int
    private var done = 0
    private var attempts = 0
    private(set) var result: RunResult

    init(loop: EventLoop, options: NaiveStockOptions) {
        self.loop = loop
        self.options = options
        let width = NaiveStockRun.connectionsPerClient
        clients = (0..<(options.connections + width - 1) / width).map { _ in
            RedisClient(loop: loop, configuration: options.redis, scripts: [])
        }
        underWay = options.connections
        result = RunResult(label: options.label, requests: 0, requestsPerSecond: 0)
        result.connections = options.connections
        result.pipeline = 1
    }

    func start() {
        if options.warmUpUs == 0 {
            beginMeasuring()
        } else {
            timers.append(loop.after(us: options.warmUpUs) { [unowned self] in beginMeasuring() })
        }
        for number in 0..<options.connections {
            let client = clients[number / NaiveStockRun.connectionsPerClient]
            loop.spawn { [self] in
                await reserve(on: client)
                await ended()
            }
        }
    }

    // MARK: One connection

    private func reserve(on client: RedisClient) async {
        while !isOver, begun < options.maxRequests {
            begun += 1
            let reservation = NaiveReservation(sku: options.sku, suffix: suffix(begun))
            let sinceUs = MonotonicClock.nowUs()
            var outcome = NaiveReservation.Outcome.conflict
            while outcome == .conflict {
                guard !givesUp else {
                    result.unfinished += 1
                    return
                }
                outcome = await reservation.attempt(on: client)
                if isMeasuring { attempts += 1 }
            }
            if case .failed(let reason) = outcome { return fail(reason) }
            // One that ends after the clock has stopped took its time all the same.
            if usage != nil { latency.record(MonotonicClock.nowUs() - sinceUs) }
            if isMeasuring { done += 1 }
        }
    }

    /// 20 hex digits that no other run has: the process, and a number.
    private func suffix(_ number: Int) -> String {
        func hex(_ value: Int, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
        }
        return hex(Int(getpid()), 8) + hex(number, 12)
    }

    private func fail(_ reason: String) {
        result.failure = result.failure ?? reason
        isOver = true
        givesUp = true
    }

    private func ended() async {
        underWay -= 1
        guard underWay == 0 else { return }
        finishMeasuring()
        timers = []
        result.latency = RunResult.Latency(latency)
        for client in clients { await client.close() }
        loop.stop()
    }

    // MARK: The clock

    private var isMeasuring: Bool { usage != nil && !isOver }

    private func beginMeasuring() {
        guard !isOver else { return }
        // The client is what does the server's work here.
        usage = UsageWindow(serverPID: Int(getpid()), redisPID: options.redisPID)
        startUs = MonotonicClock.nowUs()
        timers.append(loop.after(us: options.durationUs) { [unowned self] in finishMeasuring() })
        timers.append(
            loop.after(us: options.durationUs + options.graceUs) { [unowned self] in givesUp = true })
    }

    private func finishMeasuring() {
        defer { isOver = true }
        guard let usage, result.durationUs == 0 else { return }
        result.durationUs = max(1, MonotonicClock.nowUs() - startUs)
        result.requests = done
        result.requestsPerSecond = Double(done) * 1_000_000 / Double(result.durationUs)
        result.attemptsPerRequest = done > 0 ? Double(attempts) / Double(done) : nil
        usage.close(into: &result, decisionsPerRequest: 1)
        result.decisionsPerSecond = result.requestsPerSecond
    }
}

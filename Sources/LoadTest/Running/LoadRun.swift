import Bytes
import EventLoops
import Telemetry

/// One run of one workload: connects, warms up, measures, and stops its loop. Confined to that loop.
///
/// The closed loop keeps every connection busy and counts what is answered between two moments. The open loop sends by
/// its schedule whatever the server does, and ends when every request is answered or was waited for long enough.
final class LoadRun: ConnectionOwner {
    private enum Phase {
        case connecting
        case warming
        /// Open loop: what the warm-up sent is being answered.
        case settling
        case measuring
        case done
    }

    /// How long the warm-up's passes over all requests may take beyond the warm-up.
    private static let maxPassesUs: Int64 = 60_000_000
    private static let maxReopenings = 10_000

    private let loop: EventLoop
    private let options: RunOptions
    private let workload: Workload
    private var phase = Phase.connecting
    private var connections: [Connection] = []
    private var picker: RequestPicker
    private var dispatch: OpenLoopDispatch?
    private let latency = Histogram()
    private var statuses = [Int](repeating: 0, count: 600)
    private var answers = 0
    private var matches = 0
    private var unproven = 0
    private var lost = 0
    private var reopenings = 0
    private var openedOnce = 0
    private let countText: [UInt8]
    private var startUs = MonotonicClock.nowUs()
    private var endUs = Int64.max
    private var usage = UsageWindow(serverPID: nil, redisPID: nil)
    private var watchdog: LoopTimer?
    private(set) var result: RunResult

    init(loop: EventLoop, options: RunOptions, workload: Workload) {
        self.loop = loop
        self.options = options
        self.workload = workload
        picker = RequestPicker(count: workload.requests.count, passes: workload.warmPasses, seed: options.seed)
        countText = Array((options.countText ?? "").utf8)
        result = RunResult(label: options.label ?? options.workload.rawValue, requests: 0, requestsPerSecond: 0)
        result.connections = options.connections
        result.pipeline = options.pipeline
        result.rate = options.rate
    }

    func start() {
        watchdog = LoopTimer(loop: loop) { [unowned self] in look(MonotonicClock.nowUs()) }
        watchdog?.start(everyUs: 5000)
        for _ in 0..<options.connections {
            let connection = Connection(
                loop: loop, owner: self, address: options.target.address, depth: options.pipeline)
            connections.append(connection)
            open(connection)
        }
    }

    // MARK: What connections tell

    func opened(_ connection: Connection) {
        openedOnce += 1
        switch phase {
        case .connecting: if openedOnce == connections.count { beginWarmUp() }
        case .warming: fill(connection)
        case .measuring where dispatch == nil: fill(connection)
        case .measuring: dispatch?.add(connection, slots: options.pipeline)
        case .settling, .done: break
        }
    }

    func answered(_ connection: Connection, status: Int, response: ByteView, sinceUs: Int64, nowUs: Int64) {
        if phase == .measuring {
            answers += 1
            latency.record(nowUs - sinceUs)
            if !countText.isEmpty { matches += countText.withByteView { response.occurrences(of: $0) } }
            statuses[min(status, 599)] += 1
            if !proves(response) { unproven += 1 }
            if connection.takesRequests { dispatch?.add(connection, slots: 1) }
            if nowUs >= endUs || answers >= options.maxRequests { look(nowUs) }
        } else {
            picker.answered += 1
            if phase == .warming { look(nowUs) }
        }
        guard dispatch == nil, connection.takesRequests else { return }
        if phase == .warming || phase == .measuring { send(on: connection, sinceUs: nowUs) }
    }

    func closed(_ connection: Connection, lost: Int, reason: String?) {
        guard phase != .done else { return }
        if phase == .measuring { self.lost += lost }
        picker.answered += lost
        reopenings += 1
        let isHopeless = phase == .connecting || reopenings > LoadRun.maxReopenings
        if isHopeless { finish(failure: reason ?? "the server closes every connection") } else { open(connection) }
    }

    // MARK: Phases

    /// Looks at the clock and moves on to the next phase when it is time.
    private func look(_ nowUs: Int64) {
        switch phase {
        case .connecting:
            if nowUs - startUs > options.graceUs { finish(failure: "not all connections could be made in time") }
        case .warming:
            guard nowUs - startUs >= options.warmUpUs else { return }
            if picker.passesAreAnswered {
                if options.rate == nil { beginMeasuring(nowUs) } else { phase = .settling }
            } else if nowUs - startUs > options.warmUpUs + LoadRun.maxPassesUs {
                finish(failure: "the warm-up did not come to an end")
            }
        case .settling:
            if connections.allSatisfy({ $0.inFlightCount == 0 }) { beginMeasuring(nowUs) }
        case .measuring:
            let isOver: Bool
            if let dispatch {
                isOver =
                    dispatch.isSent && connections.allSatisfy { $0.inFlightCount == 0 }
                    || nowUs >= endUs + options.graceUs
            } else {
                isOver = nowUs >= endUs || answers >= options.maxRequests
            }
            if isOver { finish(failure: nil) }
        case .done: break
        }
    }

    private func beginWarmUp() {
        phase = .warming
        startUs = MonotonicClock.nowUs()
        for connection in connections { fill(connection) }
    }

    private func beginMeasuring(_ nowUs: Int64) {
        phase = .measuring
        usage = UsageWindow(serverPID: options.serverPID, redisPID: options.redisPID)
        startUs = MonotonicClock.nowUs()
        endUs = startUs + options.durationUs
        guard let rate = options.rate else { return }
        let schedule = OpenLoopSchedule(
            startUs: startUs, rate: rate, durationUs: options.durationUs, maxRequests: options.maxRequests)
        let dispatch = OpenLoopDispatch(loop: loop, schedule: schedule) { [unowned self] in send(on: $0, sinceUs: $1) }
        self.dispatch = dispatch
        for _ in 0..<options.pipeline {
            for connection in connections where connection.isOpen { dispatch.add(connection, slots: 1) }
        }
        dispatch.start()
    }

    private func finish(failure: String?) {
        let nowUs = MonotonicClock.nowUs()
        let wasMeasuring = phase == .measuring
        phase = .done
        watchdog?.cancel()
        result.failure = failure
        if wasMeasuring { close(nowUs) }
        for connection in connections { connection.close() }
        dispatch?.stop()
        loop.stop()
    }

    private func close(_ nowUs: Int64) {
        result.durationUs = nowUs - startUs
        result.requests = answers
        usage.close(into: &result, decisionsPerRequest: workload.decisionsPerRequest)
        if let dispatch {
            let waiting = dispatch.takeWaiting() + connections.flatMap { $0.takeUnanswered() }
            for sinceUs in waiting { latency.record(nowUs - sinceUs) }
            result.unfinished = waiting.count
            result.sendDelayP99Us = dispatch.sendDelay.percentile(99)
        }
        result.requestsPerSecond = Double(answers) * 1_000_000 / Double(result.durationUs)
        let decisions = workload.decisionsPerRequest
        result.decisionsPerSecond = decisions > 0 ? result.requestsPerSecond * Double(decisions) : nil
        result.latency = RunResult.Latency(latency)
        for (status, count) in statuses.enumerated() where count > 0 {
            result.statuses[status] = count
            if !workload.accepts.contains(status) { result.unexpected += count }
        }
        result.unproven = unproven
        result.lost = lost
        result.matches = options.countText == nil ? nil : matches
    }

    /// Whether an answer says what it must. The text is looked for once where once is enough.
    private func proves(_ response: ByteView) -> Bool {
        guard let proof = workload.proof else { return true }
        let text = ByteView(proof.text)
        return proof.times == 1 ? response.contains(text) : response.occurrences(of: text) == proof.times
    }

    // MARK: Sending

    private func send(on connection: Connection, sinceUs: Int64) {
        connection.send(workload.requests.view(picker.next()), sinceUs: sinceUs)
    }

    /// Closed loop: gives a connection as many requests as it may have under way.
    private func fill(_ connection: Connection) {
        let nowUs = MonotonicClock.nowUs()
        while connection.inFlightCount < options.pipeline { send(on: connection, sinceUs: nowUs) }
        connection.flush()
    }

    private func open(_ connection: Connection) {
        do {
            try connection.open()
        } catch {
            finish(failure: error.description)
        }
    }
}

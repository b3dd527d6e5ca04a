import EventLoops
import Glibc
import Redis

/// Looks at a fleet's processes every few seconds of a long run: their memory, their descriptors, and what Redis says of
/// its own. Confined to its loop.
///
/// A process that is started anew begins a new series: what it grows from is its own beginning.
final class ProcessWatch {
    private static let budgetUs: Int64 = 1_000_000

    private struct Series: Hashable {
        let name: String
        let pid: Int
        let unit: Trend.Unit
    }

    private let loop: EventLoop
    private let control: FleetControl
    private let redis: RedisConfiguration?
    private let startUs = MonotonicClock.nowUs()
    private var order: [Series] = []
    private var samples: [Series: [Trend.Sample]] = [:]
    private var clients: [Int: RedisClient] = [:]
    private var timer: LoopTimer?
    private var isLooking = false

    /// - Parameter redis: whose name and password let us in.
    init(loop: EventLoop, control: FleetControl, redis: RedisConfiguration?) {
        self.loop = loop
        self.control = control
        self.redis = redis
    }

    func start(everyUs: Int64) {
        let timer = LoopTimer(loop: loop) { [unowned self] in look() }
        self.timer = timer
        timer.start(everyUs: everyUs)
        look()
    }

    func stop() { timer?.cancel() }

    func trends(acceptedWrites: Int) -> [Trend] {
        order.compactMap { series in
            guard let samples = samples[series], samples.count > 2 else { return nil }
            return Trend(
                order.contains { $0.name == series.name && $0.pid != series.pid }
                    ? "\(series.name) (\(series.pid))" : series.name,
                series.unit, samples, acceptedWrites: acceptedWrites)
        }
    }

    private func look() {
        guard !isLooking else { return }
        isLooking = true
        loop.spawn { [self] in
            defer { isLooking = false }
            for process in await control.processes() {
                guard let pid = process.pid else { continue }
                // Redis says itself, and more exactly, what it holds.
                if process.role != "redis", let sample = ProcessSample(pid: pid) {
                    add(Series(name: process.name, pid: pid, unit: .residentKiB), Double(sample.residentKiB))
                }
                if let count = ProcessWatch.descriptors(of: pid) {
                    add(Series(name: process.name, pid: pid, unit: .descriptors), Double(count))
                }
                guard process.role == "redis", let bytes = await usedMemory(port: process.port) else { continue }
                add(Series(name: process.name, pid: pid, unit: .redisBytes), bytes)
            }
        }
    }

    private func add(_ series: Series, _ value: Double) {
        if samples[series] == nil { order.append(series) }
        let seconds = Double(MonotonicClock.nowUs() - startUs) / 1_000_000
        samples[series, default: []].append(Trend.Sample(seconds: seconds, value: value))
    }

    static func descriptors(of pid: Int) -> Int? {
        guard let folder = opendir("/proc/\(pid)/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // `.` and `..`.
        return count - 2
    }

    private func usedMemory(port: Int) async -> Double? {
        guard let client = client(port: port), await client.whenReady(timeoutUs: ProcessWatch.budgetUs),
            let info = try? await client.send(["INFO", "memory"], key: "", budgetUs: ProcessWatch.budgetUs).string
        else { return nil }
        let line = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("used_memory:") }
        return line.flatMap { Double($0.dropFirst("used_memory:".count)) }
    }

    private func client(port: Int) -> RedisClient? {
        if let client = clients[port] { return client }
        guard var configuration = try? RedisConfiguration(url: "redis://127.0.0.1:\(port)") else { return nil }
        configuration.user = redis?.user
        configuration.password = redis?.password
        let client = RedisClient(loop: loop, configuration: configuration, scripts: [])
        client.start()
        clients[port] = client
        return client
    }
}

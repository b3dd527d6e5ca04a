import Bytes
import EventLoops

/// Keeps asking Sentinels who the master is, and hears from them when it is another.
final class SentinelWatch {
    private let loop: EventLoop
    private weak var topology: RedisTopology?
    private let name: String
    /// The master by the last word of a Sentinel.
    private(set) var master: RedisConfiguration.Address?
    private var asking: RedisConnector!
    private var hearing: RedisConnector!
    private var timer: LoopTimer?
    private var isPolling = false
    /// The master that was, and until when a Sentinel that still names it is one that has not heard yet.
    private var former: (address: RedisConfiguration.Address, untilUs: Int64)?

    /// What is published may be lost.
    static let pollUs: Int64 = 500_000
    /// Within this all Sentinels that can hear of a new master have.
    private static let lagUs: Int64 = 10_000_000
    private static let answerUs: Int64 = 300_000
    private static let switched = "+switch-master"

    init(topology: RedisTopology, addresses: [RedisConfiguration.Address], master: String) {
        self.topology = topology
        loop = topology.loop
        name = master
        let configuration = topology.configuration.toSentinels
        asking = RedisConnector(topology: topology, place: .listed(addresses), configuration: configuration) { _ in }
        hearing = RedisConnector(topology: topology, place: .listed(addresses), configuration: configuration) {
            [weak self] link in
            link.onMessage = { message in self?.heard(message) }
            try await link.subscribe([SentinelWatch.switched])
        }
    }

    func start() {
        asking.start()
        hearing.start()
        timer = LoopTimer(loop: loop) { [weak self] in self?.poll() }
        timer?.start(everyUs: SentinelWatch.pollUs)
    }

    func close() {
        timer = nil
        asking.close()
        hearing.close()
    }

    /// Who is the master now, by one Sentinel's word; by the last word where none answers; nil where none ever did.
    func ask() async -> RedisConfiguration.Address? {
        guard let link = await asking.whenReady(timeoutUs: SentinelWatch.answerUs) else { return master }
        let deadlineUs = loop.nowUs + SentinelWatch.answerUs
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name]
        let reply = try? await CommandCall.reply { link.send(CommandCall(words, then: $0), deadlineUs: deadlineUs) }
        guard let parts = reply?.strings, parts.count == 2, let port = Int(parts[1]) else {
            // It does not answer, or knows of no such master: another one may.
            asking.tryAnother()
            return master
        }
        let address = RedisConfiguration.Address.tcp(host: parts[0], port: port)
        if let former, former.address == address, loop.nowUs < former.untilUs {
            asking.tryAnother()
        } else {
            learn(address)
        }
        return master
    }

    /// The server that was named is no master: the Sentinel that named it may be cut off from the others.
    func wasWrong() { asking.tryAnother() }

    /// Asks now, since something has happened that may mean another master.
    func poll() {
        if isPolling { return }
        isPolling = true
        loop.spawn { [weak self] in
            _ = await self?.ask()
            self?.isPolling = false
        }
    }

    /// - Parameter message: of a channel: the master's name, its old address and its new one.
    private func heard(_ message: ReplyView) {
        guard message.count == 3, message[0].bytes == "message" else { return }
        let words = message[2].bytes.string.split(separator: " ")
        guard words.count == 5, words[0] == name, let formerPort = Int(words[2]), let port = Int(words[4]) else {
            return
        }
        former = (.tcp(host: String(words[1]), port: formerPort), loop.nowUs + SentinelWatch.lagUs)
        learn(.tcp(host: String(words[3]), port: port))
    }

    private func learn(_ address: RedisConfiguration.Address) {
        if address == master { return }
        master = address
        topology?.changed()
    }
}

import TestSupport
import Testing

@testable import Redis

@Suite struct SubscriberTests {
    private typealias Subscriber = OnLoop<RedisSubscriber>

    private struct Heard: Sendable, Equatable {
        let channel: String
        let message: String
    }

    private let heard = Journal<Heard>()
    private let resubscribed = Journal<Bool>()

    /// A subscriber of the two channels; it has been told to start.
    private func subscribe(
        _ url: String, _ channels: [String], on thread: LoopThread = LoopThread()
    ) async throws -> Subscriber {
        let configuration = try RedisConfiguration(url: url)
        let subscriber = await Subscriber(thread) { loop in
            RedisSubscriber(of: RedisClient(loop: loop, configuration: configuration, scripts: []))
        }
        try await subscriber.run { [heard, resubscribed] subscriber in
            for channel in channels {
                subscriber.subscribe(channel) { heard.add(Heard(channel: channel, message: $0.string)) }
            }
            subscriber.onResubscribed = { resubscribed.add(true) }
            subscriber.start()
        }
        return subscriber
    }

    @Test(arguments: [false, true]) func hearsItsChannelsInOrder(_ isTCP: Bool) async throws {
        let server = try RedisServer.shared
        let prefix = server.prefix()
        let subscriber = try await subscribe(isTCP ? server.tcpURL : server.url, [prefix + "a", prefix + "b"])
        #expect(await eventually { resubscribed.count == 1 })
        let publisher = try server.connect()
        for i in 0..<1000 { try publisher("PUBLISH", prefix + (i % 3 == 0 ? "a" : "b"), "\(i)") }
        try publisher("PUBLISH", prefix + "c", "not for us")
        #expect(await eventually { heard.count == 1000 })
        #expect(heard.all == (0..<1000).map { Heard(channel: prefix + ($0 % 3 == 0 ? "a" : "b"), message: "\($0)") })
        #expect(resubscribed.count == 1)
        withExtendedLifetime(subscriber) {}
    }

    @Test func comesBackAfterItWasCut() async throws {
        let server = try RedisServer()
        let subscriber = try await subscribe(server.url, ["a", "b"])
        for round in 1...3 {
            #expect(await eventually { resubscribed.count == round })
            #expect(try server.redis("PUBSUB", "NUMSUB", "a", "b") == "a\n1\nb\n1")
            try server.redis("PUBLISH", "a", "\(round)")
            #expect(await eventually { heard.count == round })
            #expect(try server.redis("CLIENT", "KILL", "TYPE", "pubsub") == "1")
        }
        #expect(heard.all == (1...3).map { Heard(channel: "a", message: "\($0)") })
        withExtendedLifetime(subscriber) {}
    }

    @Test func comesBackAfterARestart() async throws {
        let server = try RedisServer()
        let subscriber = try await subscribe(server.url, ["a"])
        #expect(await eventually { resubscribed.count == 1 })
        try server.restart()
        #expect(await eventually { resubscribed.count == 2 })
        try server.redis("PUBLISH", "a", "again")
        #expect(await eventually { heard.all == [Heard(channel: "a", message: "again")] })
        withExtendedLifetime(subscriber) {}
    }

    @Test func closesForGood() async throws {
        let server = try RedisServer()
        let subscriber = try await subscribe(server.url, ["a"])
        #expect(await eventually { resubscribed.count == 1 })
        try await subscriber.run { $0.close() }
        #expect(await eventually { (try? server.redis("PUBLISH", "a", "x")) == "0" })
        #expect(heard.count == 0)
    }

    /// Released without being closed, it leaves no connection behind.
    @Test func releasedAtAnyMoment() async throws {
        let server = try RedisServer()
        let thread = LoopThread()
        for i in 0..<20 {
            let subscriber = try await subscribe(server.url, ["a"], on: thread)
            if i.isMultiple(of: 2) { #expect(await eventually { resubscribed.count > 0 }) }
            withExtendedLifetime(subscriber) {}
        }
        #expect(await eventually { (try? server.redis("CLIENT", "LIST"))?.split(separator: "\n").count == 1 })
        withExtendedLifetime(thread) {}
    }
}

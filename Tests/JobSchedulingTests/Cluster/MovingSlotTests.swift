import Redis
import TestSupport
import Testing

@testable import JobScheduling

/// A script touches more keys than it names. Whatever it is called for while its queue's slot is on the move, it does all of
/// it or nothing, on either side.
@Suite(.serialized) struct MovingSlotTests {
    private struct Call {
        var script: Script
        var arguments: [String]
        var record: String?
    }

    @Test func everyScriptActsWholeOrNotAtAll() throws {
        let cluster = try RedisCluster(masters: 3)
        let base = "t0:jobs:{moving}:"
        let slot = try cluster.slot(of: base)
        let source = try cluster.owner(ofSlot: slot)
        let target = try #require(cluster.masters.first { $0 !== source })
        let queue = ScriptedQueue(try source.connect(), base: base)
        let calls = try fill(queue)
        #expect(Set(calls.map(\.script.name)) == MovingSlotTests.names, "every script of a queue is called")
        try cluster.beginMove(ofSlot: slot, to: target)
        let count = try cluster.keys(ofSlot: slot, on: source).count
        #expect(count > 20)
        for share in [0, count / 3, count / 3, count] {
            try cluster.moveKeys(ofSlot: slot, to: target, most: share)
            let before = try contents(cluster, slot, [source, target])
            for call in calls {
                for node in [source, target] {
                    let reply = try perform(call, base, queue.nowMs, on: node)
                    guard case .error(let text) = reply else {
                        Issue.record("\(call.script.name) was done with \(share) of \(count) moved: \(reply)")
                        continue
                    }
                    #expect(text.hasPrefix("ASK ") || text.hasPrefix("TRYAGAIN "), "\(call.script.name): \(text)")
                }
            }
            #expect(try contents(cluster, slot, [source, target]) == before)
        }
        try cluster.endMove(ofSlot: slot, to: target)
        #expect(try cluster.keys(ofSlot: slot, on: target).count == count)
        for call in calls {
            let reply = try perform(call, base, queue.nowMs, on: target)
            if case .error(let text) = reply { Issue.record("\(call.script.name): \(text)") }
        }
    }

    /// The two others name all the keys that they touch.
    private static let names = Set(JobScripts.all.map(\.name)).subtracting(["list_queue", "worker_presence"])

    /// A queue with something of everything, and for each script a call that finds what it is about.
    private func fill(_ queue: ScriptedQueue) throws -> [Call] {
        typealias New = ScriptedQueue.New
        try queue.run(JobScripts.settings, ["pools", "cpu", "100"])
        let first = try queue.enqueue([
            New(), New(), New(fields: ["unique": "u"]), New(fields: ["needs": "cpu=10"]),
            New(fields: ["conflict": "queue 0 name"]), New(fields: ["cache": "d 60000"]),
            New(fields: ["cache": "d 60000"]),
            New(fields: ["after": "#1:success"]), New(place: "delayed", dueMs: queue.nowMs - 1), New(place: "idle"),
            New(place: "schedules", dueMs: queue.nowMs, fields: ["schedule": "@every 1h"]),
            New(fields: ["retries": "0"]),
        ]).first
        let leases = try queue.exchange("w", most: 2).leases
        let dead = ScriptedQueue.Ended(
            number: leases[1].number, token: leases[1].token, outcome: "permanent", text: "no")
        _ = try queue.exchange("w", [dead], most: 1)
        try queue.batch("open", "b", total: 1)
        _ = try queue.enqueue([New()], batch: ("b", 0))
        let (running, schedule, idle) = (leases[0], JobID.digits(first + 10), JobID.digits(first + 9))
        let (slot, next) = (String(queue.nowMs), String(queue.nowMs + 3_600_000))
        let job = ["noop", "ready", "1000", "", "4", "name", "late", "type", "noop"]
        let record = queue.base.replacing("jobs:", with: "idem:") + "0a"
        return [
            Call(script: JobScripts.read, arguments: [schedule]), Call(script: JobScripts.figures, arguments: []),
            Call(script: JobScripts.peek, arguments: []),
            Call(
                script: JobScripts.list,
                arguments: ["ready:noop", "up", "", "", "10", "10", "1000", "", "", "", "name"]),
            Call(script: JobScripts.audit, arguments: ["ready:noop", "0", "100"]),
            Call(script: JobScripts.enqueue, arguments: ["", "", "1000", "1"] + job),
            Call(script: JobScripts.enqueue, arguments: ["d 201 ", "", "1000", "1"] + job, record: record),
            Call(
                script: JobScripts.heartbeat,
                arguments: ["w", "all", "0", JobID.digits(running.number), String(running.token), ""]),
            Call(
                script: JobScripts.finishAndLease,
                arguments: [
                    "w", "99", "2", "1", "noop", JobID.digits(running.number), String(running.token), "noop",
                    "completed",
                    "", "", "0",
                ]),
            Call(script: JobScripts.tick, arguments: []),
            Call(script: JobScripts.fire, arguments: [schedule, slot, next, "0", "1000", slot]),
            Call(script: JobScripts.change, arguments: ["", "run", idle, "", "1000"]),
            Call(script: JobScripts.batchOpen, arguments: ["c", "another", "1", ""]),
            Call(script: JobScripts.batch, arguments: ["release", "b"]),
            Call(script: JobScripts.settings, arguments: ["pause"]),
            Call(script: JobScripts.cancel, arguments: [JobID.digits(first + 2), "test"]),
            Call(script: JobScripts.delete, arguments: ["", "delete", schedule, ""]),
        ]
    }

    private func perform(
        _ call: Call, _ base: String, _ nowMs: Int, on node: RedisServer
    ) throws -> RESPConnection.Reply {
        let keys = QueueKeys.ofScript(base, record: call.record)
        // These take no time, or take it alone.
        let head =
            ["read", "audit", "list"].contains(call.script.name)
            ? [] : ["figures", "peek"].contains(call.script.name) ? [String(nowMs)] : [String(nowMs), "a"]
        let connection = try node.connect()
        // What a node is asked for after the other has said ASK.
        _ = try connection.exchange(["ASKING"])
        let text = String(decoding: call.script.source, as: UTF8.self)
        return try connection.exchange(["EVAL", text, String(keys.count)] + keys + head + call.arguments)
    }

    /// Every key of the slot on each of the nodes, with what is in it.
    private func contents(_ cluster: RedisCluster, _ slot: Int, _ nodes: [RedisServer]) throws -> [[String]] {
        try nodes.map { node in
            let connection = try node.connect()
            return try cluster.keys(ofSlot: slot, on: node).map { key in
                _ = try connection.exchange(["ASKING"])
                return key + " " + (try connection.command(["DUMP", key]).text)
            }
        }
    }
}

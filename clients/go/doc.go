// Package leanagg is the adapter between a node of lean consensus and lean-aggregator, the service
// that proves votes outside of the node.
//
// In the tick in which the node aggregates, it calls [Aggregator.SubmitOrSkip] with a function that
// makes a snapshot of its votes. The adapter encodes the snapshot, which freezes it, and returns; it
// sends it afterwards to the first endpoint that can be reached. Proofs come back on a stream that
// the adapter keeps open to each endpoint. In a later tick, or when [Aggregator.Ready] says so, the
// node takes them with [Aggregator.TakeResults].
//
// No call from a tick waits for a service, and none panics. Each group of a submitted snapshot ends
// exactly once: with an outcome of the service, or as a duplicate, refused, cancelled or lost. When an
// endpoint dies or freezes, the adapter sends the frozen snapshot to the next one. No proof is
// delivered after its fence: by default the start of the slot after the next one.
//
// The adapter never proves, and never decides for the node. [Options.OnUnreachable] informs the node in
// its tick that no service can be reached, so that it may prove by itself.
//
// The rules are in client/PROTOCOL.md of the repository; internal/machine is those rules, without a
// clock. Package leanaggtest has a service with faults for the tests of a node, package ssz converts
// bitlists.
package leanagg

// Package connect lets a customer grant a role in their own AWS account to the operator of this
// server, the vendor: connect sessions, External IDs, and the connections that come of them.
//
// The vendor's API creates a connect session for an end user or an organization and hands out a
// link. The customer's browser, which holds nothing but the session's token, shows the External ID
// to put into the role's trust policy, and names the role. Once the role was verified, the session
// becomes a connection, and it does so once.
//
// What is stored is sealed, and is consistent whenever the process dies: see Store.
package connect

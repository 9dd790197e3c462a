# serve status pending approve deny
